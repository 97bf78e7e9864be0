"""What the demo needs around the node: HTTP with a token, the fixture, a progress bar. Standard library only."""

import http.client
import json
import pathlib
import struct
import sys
import time

DIMENSIONS = 384
FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "Fixtures"


class Client:
    """One kept-alive connection to the API."""

    def __init__(self, port, token, host="127.0.0.1"):
        self.connection = http.client.HTTPConnection(host, port, timeout=60)
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def request(self, method, path, body=None):
        """Sends a request.

        Returns: the status and what the answer holds under "data", or under "error".
        """
        status, answer = self.exchange(method, path, body)
        return status, answer.get("data", answer.get("error"))

    def exchange(self, method, path, body=None):
        """As request. Returns: the status and the whole answer."""
        text = None if body is None else json.dumps(body)
        self.connection.request(method, path, text, self.headers)
        response = self.connection.getresponse()
        return response.status, json.loads(response.read())

    def must(self, method, path, body=None):
        """As request, for what has to succeed. Returns: what the answer holds."""
        status, data = self.request(method, path, body)
        if status >= 300:
            raise RuntimeError(f"{method} {path} answered {status}: {data}")
        return data


def read_rows(count):
    """The first rows of the fixture: dictionaries of id, kind, words, gloss and vector."""
    lines = (FIXTURES / "texts.tsv").read_text(encoding="utf-8").splitlines()[:count]
    return _with_vectors(lines, (FIXTURES / "base.f16").read_bytes(), "e", 2)


def read_queries():
    """The queries, as rows; each with the row numbers of its exact ten nearest rows under "nearest"."""
    lines = (FIXTURES / "queries.tsv").read_text(encoding="utf-8").splitlines()
    queries = _with_vectors(lines, (FIXTURES / "queries.f32").read_bytes(), "f", 4)
    nearest = struct.iter_unpack("<10i", (FIXTURES / "groundtruth.i32").read_bytes())
    return [query | {"nearest": rows} for query, rows in zip(queries, nearest)]


def _with_vectors(lines, data, code, size):
    rows = []
    for number, line in enumerate(lines):
        key, kind, _, words, gloss = line.split("\t")
        vector = struct.unpack_from(f"<{DIMENSIONS}{code}", data, number * DIMENSIONS * size)
        rows.append({"id": key, "kind": kind, "words": words, "gloss": gloss, "vector": vector})
    return rows


def float32(values):
    """The bytes of the values as float32: what the database keeps, and what two vectors are compared by."""
    return struct.pack(f"<{len(values)}f", *values)


def nouns(rows):
    """The first word of each noun → its first row."""
    return {row["words"].split(", ")[0]: row for row in reversed(rows) if row["kind"] == "n"}


def short(text, width):
    return text if len(text) <= width else text[: width - 1] + "…"


def percentile(seconds, percent):
    """A percentile of durations, in milliseconds."""
    ordered = sorted(seconds)
    return 1000 * ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


class Progress:
    """A bar with rate and time left on a terminal; elsewhere nothing until the last line."""

    WIDTH = 30

    def __init__(self, what, total):
        self.what, self.total, self.started = what, total, time.monotonic()

    def show(self, done):
        if not sys.stdout.isatty():
            return
        rate = done / max(1e-9, time.monotonic() - self.started)
        filled = self.WIDTH * done // self.total
        bar = "#" * filled + "." * (self.WIDTH - filled)
        left = (self.total - done) / max(1e-9, rate)
        print(f"\r\033[K  {self.what} [{bar}] {done}/{self.total}  {rate:,.0f}/s  {left:.0f} s left", end="", flush=True)

    def finish(self, text):
        print(("\r\033[K" if sys.stdout.isatty() else "") + f"  {text}", flush=True)
