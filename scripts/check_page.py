#!/usr/bin/env python3
"""Uses the page at / as people do, in a real browser, and says what is not as it must be.

Usage: scripts/check_page.py [--screenshots DIRECTORY]

Runs .build/release/springg on a free port with real embeddings and clicks through the page: tokens of all kinds, indexes, searches by
id and by a pasted vector, newest events, errors, a node that goes away. The page must ask nobody else for anything and
must not run into its own security policy. Installs Debian's Chromium when there is none. Exit code 1 when anything was wrong.
"""

import argparse
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "demo"))

from browser import Browser, install  # noqa: E402
from client import DIMENSIONS, Client, read_queries, read_rows  # noqa: E402
from node import Node  # noqa: E402

WORDS = 2000
# What somebody may write into a database to see whether a page falls for it.
HOSTILE = "<img src=x onerror=document.title='taken'>"

problems = []


def check(is_right, what):
    """Prints a finding and remembers it when it is wrong."""
    print(f"  {'ok   ' if is_right else 'WRONG'} {what}", flush=True)
    if not is_right:
        problems.append(what)


def fill(client):
    """Three indexes: words, a small one, and one with texts that a page must not take for markup."""
    rows = read_rows(WORDS)
    client.must("POST", "/api/indexes/words", {"dimensions": DIMENSIONS})
    client.must("POST", "/api/indexes/colours", {"dimensions": 3})
    for first in range(0, WORDS, 500):
        vectors = [
            {"id": row["id"], "vector": row["vector"], "metadata": {"custom": {"words": row["words"], "gloss": row["gloss"]}}}
            for row in rows[first : first + 500]
        ]
        client.must("POST", "/api/indexes/words/vectors/bulk", {"vectors": vectors})
    for name, vector in [("red", [1, 0, 0]), ("orange", [0.9, 0.4, 0]), ("blue", [0, 0.1, 1])]:
        client.must("POST", "/api/indexes/colours/vectors", {"id": name, "vector": vector})
    client.must("POST", "/api/marks", {"name": "before-tidying"})
    client.must("DELETE", "/api/indexes/colours/vectors/orange")
    hostile = {"id": HOSTILE, "vector": [0, 1, 0], "metadata": {"custom": {"text": HOSTILE}}}
    client.must("POST", "/api/indexes/colours/vectors", hostile)
    return rows


class Page:
    """The page, by what stands on it."""

    def __init__(self, browser):
        self.browser = browser

    def text(self, name):
        return self.browser.value(f"document.getElementById('{name}').innerText")

    def rows(self, name):
        """The cells of a table."""
        return self.browser.value(
            f"[...document.querySelectorAll('#{name} tr')].map((row) => [...row.cells].map((cell) => cell.innerText))"
        )

    def token(self, token):
        self.browser.type("#token", token)
        self.browser.key("Enter", 13)

    def wait(self, expression):
        return self.browser.wait(expression)

    def search(self, index, id="", vector="", k=None):
        """Fills the form in and sends it; returns what stands below it and the hits."""
        self.browser.value(f"document.getElementById('index').value = {json.dumps(index)}")
        self.browser.type("#id", id)
        self.browser.type("#vector", vector)
        if k:
            self.browser.type("#k", str(k))
        self.browser.value("document.getElementById('answer').textContent = ''")
        self.browser.click("#search button")
        self.wait("document.getElementById('answer').textContent")
        return self.text("answer"), self.rows("hits")


def tokens(page, node):
    print("\nTokens")
    page.wait("document.getElementById('state').textContent === 'ready'")
    check(True, "without a token the page says whether the node is ready")
    page.wait("document.getElementById('reason').textContent")
    check("oken" in page.text("reason") or "uthor" in page.text("reason"), f"and that the rest needs one: {page.text('reason')!r}")
    check(not page.rows("indexes"), "and shows no index")
    page.token("wrong.token.here")
    page.wait("document.getElementById('token').getAttribute('aria-invalid') === 'true'")
    check(True, f"a wrong token is told: {page.text('reason')!r}")
    page.token(node.command("springg", "generate-jwt", "--claims", '{"permissions":["read"]}').strip())
    page.wait("document.querySelectorAll('#indexes tr').length === 2")
    check(page.text("reason") == "", "one that may read shows the node")
    page.wait("document.getElementById('eventnote').textContent")
    check("admin" in page.text("eventnote"), f"but no events: {page.text('eventnote')!r}")
    page.token(node.command("springg", "generate-jwt", "--claims", '{"permissions":["admin"]}').strip())
    page.wait("document.querySelectorAll('#events tr').length > 5")
    check(page.text("eventnote") == "", "one of an administrator shows the events too")


def overview(page, client):
    print("\nOverview")
    rows = {row[0]: row for row in page.rows("indexes")}
    check(rows["words"][1:3] == ["384", f"{WORDS:,}"], f"dimensions and vectors of an index: {rows['words']}")
    facts = page.text("node")
    check(client.must("GET", "/api/stats")["digest"] in facts, "the digest is the node's")
    events = page.rows("events")
    check(events[0][2:] == ["vector put", "colours", HOSTILE] or events[0][4] == HOSTILE, f"the newest event stands first: {events[0]}")
    check(any("deleted" in row[2] and row[4] == "orange" for row in events), "a delete is shown as one")
    check(any("before-tidying" in row for row in events), "a mark is shown by its name")
    client.must("POST", "/api/indexes/colours/vectors", {"id": "green", "vector": [0, 1, 0.1]})
    page.wait("document.querySelector('#events tr').innerText.includes('green')")
    check(True, "a write appears by itself")
    page.wait("document.getElementById('rates').innerText.includes('Requests')")
    check(float(page.text("requests")) > 0, f"rates are shown: {page.text('requests')} requests a second")
    check(page.browser.value("document.querySelector('svg[data-of=requests] polyline').getAttribute('points').length") > 0, "as lines too")


def searches(page, rows, query):
    print("\nSearch")
    answer, hits = page.search("words", id=rows[17]["id"])
    check(len(hits) == 10 and hits[0][1] == rows[17]["id"], f"by id: 10 hits, the vector itself first ({answer})")
    check(hits[0][0] == "1.0000", f"with its score: {hits[0][0]}")
    check(rows[17]["words"].split(",")[0] in hits[0][2], "and its metadata")
    answer, hits = page.search("words", vector=json.dumps([round(value, 6) for value in query["vector"]]), k=3)
    nearest = [rows[number]["id"] for number in query["nearest"] if number < WORDS]
    check(len(hits) == 3 and (not nearest or hits[0][1] == nearest[0]), f"by a pasted vector, three of them: {hits[0][:2]}")
    answer, hits = page.search("colours", vector="0, 1, 0", k=2)
    check({row[1] for row in hits} == {HOSTILE, "green"}, f"brackets may be left out: {answer}")
    check(page.browser.value("document.title") == "Springg", "what looks like markup is shown as text")
    check(page.browser.value("document.querySelectorAll('img').length") == 0, "and makes no element")
    for what, sent, wanted in [
        ("an id that is not there", {"id": "nobody"}, "not found"),
        ("a vector of another length", {"vector": "[1, 2]"}, "dimension"),
        ("something that is no vector", {"vector": "[1, two]"}, "numbers"),
        ("nothing at all", {}, "id or a vector"),
    ]:
        answer, hits = page.search("colours", **sent)
        check(wanted in answer and not hits, f"{what}: {answer!r}")
    page.browser.type("#vector", "")
    page.browser.type("#id", "red")
    page.browser.key("Enter", 13)
    page.wait("document.querySelectorAll('#hits tr').length > 0")
    check(page.rows("hits")[0][1] == "red", "the return key searches as well")
    page.browser.click("#hits tr:last-child button")
    page.wait("document.querySelector('#hits tr').cells[1].innerText !== 'red'")
    check(page.rows("hits")[0][1] == page.browser.value("document.getElementById('id').value"), "a hit leads to its own neighbours")


def rules(browser, base):
    print("\nRules")
    outside = [url for url in browser.requests if not url.startswith((base, "data:", "about:"))]
    check(not outside, f"nobody else is asked for anything: {outside or f'{len(browser.requests)} requests, all to the node'}")
    refused = browser.value("window.refusedByPolicy")
    check(not refused, f"the security policy had nothing to refuse: {refused}")
    check(not browser.complaints, f"no error in the page: {browser.complaints[:3]}")
    # The check itself must be able to fail: a script from outside the page's own is refused, and seen.
    browser.value("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.taken = 1'}))")
    check(browser.value("window.taken === undefined && window.refusedByPolicy.length === 1"), "a foreign script is refused, and seen here")
    for width in [375, 800]:
        browser.show(width, 800)
        wider = browser.value("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        check(wider <= 0, f"nothing sticks out of a window of {width} pixels")


def pictures(page, browser, directory, rows, query):
    print("\nScreenshots")
    directory.mkdir(parents=True, exist_ok=True)
    browser.show(1180, 900)
    page.search("words", vector=json.dumps([round(value, 4) for value in query["vector"]]), k=6)
    browser.value("window.scrollTo(0, 0); document.activeElement.blur()")
    # Lines need some looks.
    browser.wait("document.querySelector('svg[data-of=requests] polyline')?.getAttribute('points').split(' ').length >= 10", 60)
    for name, size, is_dark in [("page", (1180, 900), False), ("page-dark", (1180, 900), True), ("page-phone", (390, 844), False)]:
        browser.show(*size, is_dark=is_dark)
        browser.screenshot(directory / f"{name}.png", is_whole=name != "page-phone")
    subprocess.run(["pngquant", "--force", "--ext=.png", "--speed=1", "--strip", *directory.glob("page*.png")], check=True)
    for path in sorted(directory.glob("page*.png")):
        print(f"  {path}: {path.stat().st_size // 1000} kB")


def load(node, token, is_over):
    """Some requests, so that the pictures have rates."""
    client, rows = Client(node.port, token), read_rows(200)
    number = 0
    while not is_over.is_set():
        row = rows[number % len(rows)]
        for _ in range(1 + number // 80 % 4):
            client.request("POST", "/api/indexes/words/search", {"vector": row["vector"], "k": 10})
        if number % 4 == 0:
            client.request("POST", "/api/indexes/words/vectors", {"id": row["id"], "vector": row["vector"],
                           "metadata": {"custom": {"words": row["words"], "gloss": row["gloss"]}}})
        number += 1
        time.sleep(0.02)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--screenshots", metavar="DIRECTORY", type=pathlib.Path, help="where to put pictures of the page")
    arguments = parser.parse_args()
    started = time.monotonic()
    install("chromium")
    if arguments.screenshots:
        install("pngquant")
    with tempfile.TemporaryDirectory(prefix="springg-page-") as directory:
        node = Node(directory)
        browser = Browser()
        is_over = threading.Event()
        try:
            node.start()
            token = node.command("springg", "generate-jwt", "--claims", '{"permissions":["admin"]}').strip()
            client = Client(node.port, token)
            rows, query = fill(client), read_queries()[8]
            base = f"http://127.0.0.1:{node.port}/"
            page = Page(browser)
            browser.show(1180, 900)
            browser.open(base)
            tokens(page, node)
            if arguments.screenshots:
                worker = threading.Thread(target=load, args=(node, token, is_over))
                worker.start()
                pictures(page, browser, arguments.screenshots, rows, query)
                is_over.set()
                worker.join()
            else:
                overview(page, client)
                searches(page, rows, query)
                rules(browser, base)
                print("\nA node that goes away")
                node.end(signal.SIGTERM)
                page.wait("document.getElementById('state').textContent === 'no answer'")
                check(True, "the page says so")
        finally:
            is_over.set()
            browser.close()
            node.end(signal.SIGKILL)
    verdict = f"{len(problems)} things are wrong" if problems else "the page is as it should be"
    print(f"\n{verdict} ({time.monotonic() - started:.1f} s)")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
