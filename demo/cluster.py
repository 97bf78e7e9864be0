#!/usr/bin/env python3
"""A cluster at work: three nodes on machines of their own, writes on all of them, a network that is cut and heals, a node
that is killed and replaced, an archive that changes hands. Ends with a table of digests, which must be equal.

Usage: demo/cluster.py [--vectors N]

Runs .build/release/springg in network namespaces (see network.py) and in a temporary directory; both are gone afterwards.
The exit code is 1 when anything was not as it must be.
"""

import argparse
import base64
import json
import pathlib
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time

import network
from client import DIMENSIONS, Client, float32, read_rows
from network import Machine
from node import Node

INDEX = "/api/indexes/words"
BULK = 100
SECONDS_MAX = 60
NAMES = "abcd"

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


class Cluster:
    """Nodes that share a secret, their seeds and an archive."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.archive = f"file://{directory}/archive"
        self.secret = secrets.token_urlsafe(48)
        self.key = base64.b64encode(secrets.token_bytes(32)).decode()
        self.machines = {name: Machine(number + 1) for number, name in enumerate(NAMES)}
        self.nodes = {}

    def start(self, name):
        machine = self.machines[name]
        seeds = ",".join(machine.address for machine in self.machines.values())
        flags = ["--cluster-enabled", "true", "--node-id", name, "--cluster-bind-address", machine.address,
                 "--cluster-seeds", seeds, "--cluster-size", "3", "--ack-timeout", "1s"]
        (self.directory / name).mkdir()
        node = Node(self.directory / name, self.archive, self.secret, flags, machine)
        node.environment["SPRINGG_CLUSTER_KEYS"] = self.key
        node.start()
        self.nodes[name] = node
        return node

    def client(self, name):
        node = self.nodes[name]
        return Client(node.port, node.token(), node.machine.address)

    def alive(self, name):
        """Returns: how many members a node takes for alive, itself included."""
        node = self.nodes[name]
        told = node.command("springg", "cluster", "status", "--node", f"{node.machine.address}:{node.port}", "--json")
        return json.loads(told)["cluster_size"]

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

    def restored(self):
        """Returns: the digest of what the archive holds, once it holds everything."""
        node = next(iter(self.nodes.values()))
        eventually(lambda: Client(node.port, node.token(), node.machine.address)
                   .must("GET", "/api/stats")["archive"]["lag_events"] == 0)
        told = node.command("springg", "restore", "--from", self.archive, "--to", "latest",
                            "--data-path", str(self.directory / "restored"), "--json", quiet=True)
        return json.loads(told)["restored"]["digest"]

    def end(self):
        for node in self.nodes.values():
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

    split(cluster, a, rows)

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
    url = f"{cluster.machines[survivor].address}:{cluster.nodes[survivor].port}"
    forgotten = eventually(lambda: forget(cluster, survivor, url, victim))
    check(forgotten is not None, f"{victim} is forgotten: it will not come back")
    cluster.start("d")
    seconds = cluster.agree()
    check(seconds is not None, "the new node holds what the others hold")

    heading("In the end")
    digests = cluster.digests()
    print(f"  {'node':6}{'address':13}{'vectors':>8}  {'digest':34}archived last")
    for name, node in cluster.nodes.items():
        count = cluster.client(name).must("GET", f"{INDEX}/stats")["count"]
        archives = "yes" if cluster.archived()[1] == name else ""
        print(f"  {name:6}{node.machine.address:13}{count:8,}  {digests[name]:34}{archives}")
    check(len(set(digests.values())) == 1, "equal digests")
    check(cluster.restored() == digests[survivor], "and a restore from the archive has it, too")


def split(cluster, a, rows):
    heading("Cut the network between c and the two others; clients reach all three")
    machines, c = cluster.machines, cluster.client("c")
    for name in "ab":
        machines[name].cut(machines["c"])
    statuses = {a.request("DELETE", f"{INDEX}/vectors/{row['id']}?ack=quorum")[0] for row in rows[:50]}
    check(statuses == {200}, "50 deletes on a, each on two of three disks when it was answered")
    status, answer = c.exchange("PUT", f"{INDEX}/vectors/{rows[60]['id']}?ack=quorum", {"vector": rows[61]["vector"]})
    check((status, answer["receipt"]["ack"]) == (202, "local"), "a write on c is stored, and says: on this disk only (202)")
    seen = c.request("GET", f"{INDEX}/vectors/{rows[0]['id']}")[0]
    check(seen == 200, "c still shows what was deleted on the other side")
    seconds = eventually(lambda: cluster.alive("c") == 1 and cluster.alive("a") == 2)
    check(seconds is not None, f"both sides notice {0 if seconds is None else seconds:.0f} s later")
    for name in "ab":
        machines[name].heal(machines["c"])
    seconds = cluster.agree()
    check(seconds is not None, f"the network heals, and {0 if seconds is None else seconds:.0f} s later all show the same")
    gone = {cluster.client("c").request("GET", f"{INDEX}/vectors/{row['id']}")[0] for row in rows[:50]}
    check(gone == {404}, "no deleted vector has come back")
    kept = a.must("GET", f"{INDEX}/vectors/{rows[60]['id']}")["vector"]
    check(float32(kept) == float32(rows[61]["vector"]), "what c took meanwhile is on all of them")


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
    network.enter()
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
