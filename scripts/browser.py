"""Drives a real browser, headless Chromium, by its own protocol over two pipes. Standard library only."""

import base64
import fcntl
import json
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time

SECONDS_MAX = 15

# Remembers in the page what its security policy has refused.
WATCH = """
window.refusedByPolicy = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.refusedByPolicy.push(event.violatedDirective + " " + event.blockedURI));
"""


def install(package):
    """Installs a Debian package unless its program is there; as root, or through sudo."""
    if shutil.which(package):
        return
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    quiet = {"env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, "stdin": subprocess.DEVNULL, "check": True}
    print(f"installing {package}", flush=True)
    subprocess.run([*as_root, "apt-get", "update", "-qq"], **quiet)
    subprocess.run(
        [*as_root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", package, "fonts-dejavu-core"],
        stdout=subprocess.DEVNULL, **quiet,
    )


class Browser:
    """One browser with one page. Everything that the page asks for, refuses or complains of is kept."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="springg-browser-")
        command_in, self.commands = os.pipe()
        self.answers, answer_out = os.pipe()
        self.log = open(pathlib.Path(self.profile) / "log", "wb")

        def take_pipes():
            # The browser reads its commands from descriptor 3 and writes its answers to 4; either may be taken here.
            ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (command_in, answer_out)]
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self.process = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
             "--force-color-profile=srgb", f"--user-data-dir={self.profile}"],
            # What it puts beside its profile goes with that.
            env=os.environ | {"TMPDIR": self.profile},
            pass_fds=(3, 4), preexec_fn=take_pipes, stdout=self.log, stderr=self.log,
        )
        os.close(command_in)
        os.close(answer_out)
        self.buffer = b""
        self.number = 0
        self.session = None
        self.requests, self.complaints = [], []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Network", "Log"]:
            self.call(f"{domain}.enable")
        self.call("Emulation.setScrollbarsHidden", hidden=True)
        self.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=SECONDS_MAX)
        self.log.close()
        shutil.rmtree(self.profile, ignore_errors=True)

    # The protocol: JSON messages, each ended by a zero byte.

    def call(self, method, **parameters):
        """Sends a command and waits for its answer."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + SECONDS_MAX
        while True:
            answer = self._next(deadline)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _next(self, deadline):
        while b"\0" not in self.buffer:
            readable, _, _ = select.select([self.answers], [], [], max(0, deadline - time.monotonic()))
            piece = os.read(self.answers, 1 << 16) if readable else b""
            if not piece:
                raise RuntimeError("the browser does not answer")
            self.buffer += piece
        text, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(text)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, event, what):
        if event == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(str(what["exceptionDetails"].get("exception", what)))
        elif event == "Log.entryAdded" and what["entry"]["source"] == "security":
            self.complaints.append(what["entry"]["text"])

    # The page.

    def show(self, width, height, is_dark=False):
        """Sets the size of the window and the colours that its user likes."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def value(self, expression):
        """What an expression is in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, expression, seconds=SECONDS_MAX):
        """Waits until an expression is true, and returns it."""
        deadline = time.monotonic() + seconds
        while not (value := self.value(expression)):
            if time.monotonic() > deadline:
                raise RuntimeError(f"this did not become true: {expression}\n" + self.value("document.body.innerText"))
            time.sleep(0.02)
        return value

    def click(self, selector):
        """Clicks where a user would: in the middle of what is seen."""
        place = self.value(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});"
            "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ["mousePressed", "mouseReleased"]:
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1
            )

    def type(self, selector, text):
        """Replaces what stands in a field, by keys."""
        self.click(selector)
        self.value(f"document.querySelector({json.dumps(selector)}).select()")
        if text:
            self.call("Input.insertText", text=text)
        else:
            self.key("Delete", 46)

    def key(self, name, code):
        text = {"text": "\r"} if name == "Enter" else {}
        for kind in ["keyDown", "keyUp"]:
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code, **text)

    def screenshot(self, path, is_whole=True):
        picture = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=is_whole)
        pathlib.Path(path).write_bytes(base64.b64decode(picture["data"]))
