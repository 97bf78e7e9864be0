#!/usr/bin/env python3
"""A cluster at work: three nodes, writes on all of them, one that hangs, one that is killed and replaced, an archive that
changes hands. Ends with a table of digests, which must be equal.

Usage: demo/cluster.py [--vectors N]

Runs .build/release/springg on free ports of 127.0.0.1 in a temporary directory, which is gone afterwards. The exit code is
1 when anything was not as it must be.
"""

import argparse
import json
import pathlib
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from client import DIMENSIONS, Client, read_rows
from node import Node

INDEX = "/api/indexes/words"
BULK = 100
SECONDS_MAX = 60

problems = []


def check(is_right, what):
    """Prints a finding and remembers it when it is wrong."""
    print(f"  {'ok   ' if is_right else 'WRONG'} {what}", flush=True)
    if not is_right:
        problems.append(what)


def heading(text):
    print(f"\n{text}", flush=True)


def eventually(condition):
    """Returns: the seconds until the condition held; None when it did not in time."""
    started = time.monotonic()
    while time.monotonic() - started < SECONDS_MAX:
        if condition():
            return time.monotonic() - started
        time.sleep(0.05)
    return None


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Cluster:
    """Nodes that share a secret, their seeds and an archive."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.archive = f"file://{directory}/archive"
        self.secret = secrets.token_urlsafe(48)
        self.ports = {name: free_port() for name in "abcd"}
        self.nodes = {}

    def start(self, name):
        seeds = ",".join(f"127.0.0.1:{port}" for port in self.ports.values())
        flags = ["--cluster-enabled", "true", "--node-id", name, "--cluster-bind-port", str(self.ports[name]),
                 "--cluster-seeds", seeds, "--cluster-size", "3"]
        (self.directory / name).mkdir()
        node = Node(self.directory / name, self.archive, self.secret, flags)
        node.start()
        self.nodes[name] = node
        return node

    def client(self, name):
        node = self.nodes[name]
        return Client(node.port, node.token())

    def digests(self):
        return {name: self.client(name).must("GET", "/api/stats")["digest"] for name in self.nodes}

    def agree(self):
        """Returns: the seconds until all nodes show the same."""
        return eventually(lambda: len(set(self.digests().values())) == 1)

    def archived(self):
        """Returns: the newest generation of the archive, and who wrote it."""
        try:
            told = json.loads(next(iter(self.nodes.values())).command(
                "springg", "backups", "--from", self.archive, "--json", quiet=True))
        except subprocess.CalledProcessError:
            return 0, ""
        return told["generation"], told["node"]

    def end(self):
        for node in self.nodes.values():
            if node.process.poll() is None:
                node.process.send_signal(signal.SIGCONT)
            node.end(signal.SIGKILL)


def vectors(rows):
    return {"vectors": [{"id": row["id"], "vector": row["vector"]} for row in rows]}


def run(cluster, count):
    rows = read_rows(count)
    heading("Three nodes find each other")
    for name in "abc":
        cluster.start(name)
    a = cluster.client("a")
    a.must("POST", INDEX, {"dimensions": DIMENSIONS})

    heading(f"Load {len(rows)} embeddings through one of them")
    for first in range(0, len(rows), BULK):
        a.must("POST", f"{INDEX}/vectors/bulk", vectors(rows[first : first + BULK]))
    seconds = cluster.agree()
    check(seconds is not None, f"all three show the same {0 if seconds is None else 1000 * seconds:.0f} ms later")

    heading("Write the same ids on all of them at once")
    def write(name, shift):
        client = cluster.client(name)
        for number in range(60):
            client.must("POST", f"{INDEX}/vectors", {"id": f"race{number}", "vector": rows[number + shift]["vector"]})
    threads = [threading.Thread(target=write, args=(name, 100 * place)) for place, name in enumerate("abc")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(cluster.agree() is not None, "60 races, the same winner everywhere")

    heading("One hangs; writes with a majority go on, deletes included")
    cluster.nodes["c"].process.send_signal(signal.SIGSTOP)
    statuses = {a.request("DELETE", f"{INDEX}/vectors/{row['id']}?ack=quorum")[0] for row in rows[:50]}
    check(statuses == {200}, "50 deletes, each on two disks when it was answered")
    cluster.nodes["c"].process.send_signal(signal.SIGCONT)
    seconds = cluster.agree()
    check(seconds is not None, "it wakes up and catches up; no deleted vector comes back")
    gone = cluster.client("c").request("GET", f"{INDEX}/vectors/{rows[0]['id']}")[0]
    check(gone == 404, "asked itself, it does not know the first of them")

    heading("kill -9 of the one that archives")
    check(eventually(lambda: cluster.archived()[1] != "") is not None, "one of them archives")
    generation, victim = cluster.archived()
    cluster.nodes.pop(victim).end(signal.SIGKILL)
    print(f"  {victim} wrote generation {generation}, and is no more")
    survivor = next(iter(cluster.nodes))
    other = cluster.client(survivor)
    other.must("POST", f"{INDEX}/vectors/bulk?ack=quorum", vectors(rows[:50]))
    heir = eventually(lambda: cluster.archived()[0] > generation and cluster.archived()[1] != victim)
    check(heir is not None, f"{cluster.archived()[1]} archives in its place")

    heading("A fresh one takes its place")
    time.sleep(1)
    url = f"127.0.0.1:{cluster.nodes[survivor].port}"
    forgotten = eventually(lambda: forget(cluster, survivor, url, victim))
    check(forgotten is not None, f"{victim} is forgotten: it will not come back")
    cluster.start("d")
    seconds = cluster.agree()
    check(seconds is not None, "the new node holds what the others hold")

    heading("In the end")
    digests = cluster.digests()
    for name in cluster.nodes:
        stats = cluster.client(name).must("GET", f"{INDEX}/stats")
        print(f"  {name}  {stats['count']:6,} vectors  {digests[name]}")
    check(len(set(digests.values())) == 1, "equal digests")
    verified = cluster.nodes[survivor].command("springg", "backups", "verify", "--deep", "--from", cluster.archive)
    check(True, "the archive is whole: " + " ".join(verified.split())[:90])


def forget(cluster, survivor, url, victim):
    try:
        cluster.nodes[survivor].command("springg", "cluster", "forget", victim, "--node", url, quiet=True)
        return True
    except subprocess.CalledProcessError:
        # As long as it is only suspected.
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--vectors", type=int, default=2000, help="vectors to load (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="springg-cluster-") as directory:
        cluster = Cluster(directory)
        try:
            run(cluster, options.vectors)
        finally:
            cluster.end()
    print("\n" + ("Everything was as it must be." if not problems else f"{len(problems)} findings"))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
