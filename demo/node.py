"""The node of the demo: a server process in a directory of its own. Standard library only."""

import json
import os
import pathlib
import re
import secrets
import select
import socket
import subprocess
import time

BINARIES = pathlib.Path(__file__).resolve().parent.parent / ".build" / "release"
READY_SECONDS_MAX = 60


class Node:
    """A server process and its directory, on this machine or on one of the demo's own."""

    def __init__(self, directory, archive=None, secret=None, flags=("--cluster-enabled", "false"), machine=None):
        self.machine = machine
        self.directory = pathlib.Path(directory)
        self.flags = flags
        self.data = self.directory / "data"
        self.archive = archive or f"file://{self.directory}/archive"
        # Nothing of the caller's own configuration may leak into the demo.
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("SPRINGG_")}
        self.environment |= {"HOME": str(directory), "SPRINGG_JWT_SECRET": secret or secrets.token_urlsafe(48)}
        self.process = None

    def start(self):
        """Starts the server. Returns: the seconds until it was ready."""
        bind, port = "0.0.0.0", 8080
        if self.machine is None:
            bind = "127.0.0.1"
            with socket.create_server((bind, 0)) as probe:
                port = probe.getsockname()[1]
        limits_off = ["--rate-limit-per-second", "0", "--bulk-cpu-threshold-percent", "0"]
        place = ["--bind-address", bind, "--port", str(port), "--data-path", str(self.data),
                 *self.flags, "--s3-bucket", self.archive, "--s3-sync-interval", "1s"]
        command = [BINARIES / "springg", "serve", *place, *limits_off]
        started = time.monotonic()
        with open(self.directory / "node.log", "ab") as log:
            self.process = subprocess.Popen(
                self.machine.command(command) if self.machine else command,
                cwd=self.directory, env=self.environment, stdout=subprocess.PIPE, stderr=log, text=True,
            )
        readable, _, _ = select.select([self.process.stdout], [], [], READY_SECONDS_MAX)
        line = self.process.stdout.readline() if readable else ""
        address = re.search(r"http://\S+:(\d+)", line)
        if not address:
            raise RuntimeError("the server did not get ready:\n" + (self.directory / "node.log").read_text())
        self.port = int(address[1])
        return time.monotonic() - started

    def token(self):
        command = [BINARIES / "springg", "generate-jwt", "--user-id", "demo"]
        return subprocess.run(
            command, cwd=self.directory, env=self.environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()

    def end(self, signal_number):
        """Sends a signal and waits. Returns: the exit code."""
        if self.process is None or self.process.poll() is not None:
            return None
        self.process.send_signal(signal_number)
        code = self.process.wait(timeout=30)
        self.process.stdout.close()
        return code

    def command(self, program, *arguments, quiet=False):
        """Runs a program with the node's settings; quiet: its complaints are not shown. Returns: what it printed."""
        return subprocess.run(
            [BINARIES / program, *arguments], cwd=self.directory, env=self.environment, check=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL if quiet else None, text=True,
        ).stdout

    def replayed_digests(self):
        """Index name → digest, as logdump finds them by replaying the log of the node, which must have ended."""
        command = [BINARIES / "logdump", "digest", self.data, "--json"]
        answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        return {index["name"]: index["digest"] for index in answer["indexes"]}
