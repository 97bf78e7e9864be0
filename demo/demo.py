#!/usr/bin/env python3
"""A database at work: load real embeddings, search, update, delete, kill -9 in mid-write, recover, compare,
lose an index and the whole directory, restore from the archive to the second before.

Usage: demo/demo.py [--vectors N] [--archive s3://BUCKET/PREFIX]

Runs .build/release/springg on a free port in a temporary directory, which is gone afterwards. Ends with a table of
figures; the exit code is 1 when anything was not as it must be.
"""

import argparse
import datetime
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from client import DIMENSIONS, Client, Progress, float32, nouns, percentile, read_queries, read_rows, short
from node import Node

INDEX = "/api/indexes/words"
WORDS = ["dog", "coffee", "music", "happiness"]
BULK = 100  # vectors a bulk request
WRITERS = 8  # connections that write when the node is killed

problems = []
figures = []


def check(is_right, what):
    """Prints a finding and remembers it when it is wrong."""
    print(f"  {'ok   ' if is_right else 'WRONG'} {what}", flush=True)
    if not is_right:
        problems.append(what)


def heading(text):
    print(f"\n{text}", flush=True)


def load(client, rows):
    heading(f"Load {len(rows)} embeddings of WordNet glosses ({DIMENSIONS} dimensions) over REST")
    client.must("POST", INDEX, {"dimensions": DIMENSIONS})
    progress = Progress("loading", len(rows))
    started = time.monotonic()
    for first in range(0, len(rows), BULK):
        vectors = [
            {"id": row["id"], "vector": row["vector"], "metadata": {"custom": {"words": row["words"]}}}
            for row in rows[first : first + BULK]
        ]
        answer = client.must("POST", f"{INDEX}/vectors/bulk", {"vectors": vectors})
        if answer["failed"]:
            raise RuntimeError(f"a bulk request failed: {answer['errors'][:3]}")
        progress.show(first + len(vectors))
    rate = len(rows) / (time.monotonic() - started)
    progress.finish(f"loaded {len(rows)} at {rate:,.0f} vectors/s (bulks of {BULK}, one connection, synced)")
    figures.append(("vectors loaded", f"{len(rows):,}"))
    figures.append(("load rate", f"{rate:,.0f} /s"))
    check(client.must("GET", f"{INDEX}/stats")["count"] == len(rows), "the index counts every vector")


def search(client, vector, k=10, **options):
    return client.must("POST", f"{INDEX}/search", {"vector": vector, "k": k} | options)


def show_searches(client, rows, queries):
    heading("Search: the nearest glosses to the gloss of a word")
    gloss = {row["id"]: row["gloss"] for row in rows}
    asked = [nouns(rows)[word] for word in WORDS]
    for row in asked + queries[2:4]:
        print(f"  {row['words']}: {short(row['gloss'], 80)}")
        hits = [hit for hit in search(client, row["vector"], 4) if hit["id"] != row["id"]]
        for hit in hits[:3]:
            words = short(hit["metadata"]["custom"]["words"], 28)
            print(f"    {hit['score']:.3f}  {words:28}  {short(gloss[hit['id']], 70)}")
    firsts = [search(client, row["vector"], 1)[0] for row in asked]
    check([hit["id"] for hit in firsts] == [row["id"] for row in asked], "each word's own gloss comes first")


def measure_searches(client, rows, queries):
    """Through the graph, which a small index does without, and with an ef so high that all vectors are compared."""
    while client.must("GET", f"{INDEX}/stats")["indexed"] and client.must("GET", f"{INDEX}/stats")["unindexed"]:
        time.sleep(0.1)
    for how, options, least in (("by default", {}, 0.98), ("exact", {"ef": 2000}, 1)):
        durations, found, expected = [], 0, 0
        for query in queries:
            started = time.monotonic()
            hits = {hit["id"] for hit in search(client, query["vector"], **options)}
            durations.append(time.monotonic() - started)
            # Of a part of the fixture, the exact neighbours that are loaded must be there: nothing nearer was added.
            wanted = {rows[row]["id"] for row in query["nearest"] if row < len(rows)}
            found, expected = found + len(wanted & hits), expected + len(wanted)
        check(found >= least * expected, f"{len(queries)} held-out queries find {found} of {expected} neighbours, {how}")
        median, tail = percentile(durations, 50), percentile(durations, 99)
        figures.append((f"search {how}: p50 / p99", f"{median:.2f} / {tail:.2f} ms"))
        figures.append((f"search {how}: recall@10", f"{found / expected:.4f}"))


def update_and_delete(client, rows):
    heading("Update and delete")
    dog, coffee, music = (nouns(rows)[word] for word in ("dog", "coffee", "music"))
    moved = {"vector": coffee["vector"], "metadata": {"custom": {"words": "dog, now beside coffee"}}}
    client.must("PUT", f"{INDEX}/vectors/{dog['id']}", moved)
    hits = [hit["id"] for hit in search(client, coffee["vector"], 2)]
    check(sorted(hits) == sorted([dog["id"], coffee["id"]]), "after PUT of coffee's vector, dog is found beside coffee")
    stored = client.must("GET", f"{INDEX}/vectors/{dog['id']}")
    check(float32(stored["vector"]) == float32(coffee["vector"]), "GET returns the new vector as it was sent")
    client.must("DELETE", f"{INDEX}/vectors/{music['id']}")
    check(client.request("GET", f"{INDEX}/vectors/{music['id']}")[0] == 404, "the deleted music is gone")
    hits = [hit["id"] for hit in search(client, music["vector"])]
    check(music["id"] not in hits, "and no search finds it")


def write_until_killed(node, token, acknowledgements):
    """Streams single writes over several connections, and kills the node in the middle of it.

    Returns: id → vector of every write that was acknowledged, and the number that was sent.
    """
    heading(f"kill -9 in the middle of single writes from {WRITERS} connections")
    acknowledged, sent, enough = {}, [0] * WRITERS, threading.Event()

    def write(writer):
        client, source = Client(node.port, token), random.Random(writer)
        try:
            while True:
                key, vector = f"live-{writer}-{sent[writer]}", [source.uniform(-1, 1) for _ in range(DIMENSIONS)]
                sent[writer] += 1
                client.must("POST", f"{INDEX}/vectors", {"id": key, "vector": vector})
                acknowledged[key] = vector
                if len(acknowledged) >= acknowledgements:
                    enough.set()
        except Exception as error:  # The kill; anything earlier is told by the main thread.
            enough.set()
            failures.append(error)

    failures = []
    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
    started = time.monotonic()
    for writer in writers:
        writer.start()
    enough.wait()
    rate = len(acknowledged) / (time.monotonic() - started)
    node.end(signal.SIGKILL)
    for writer in writers:
        writer.join()
    if len(acknowledged) < acknowledgements:
        raise RuntimeError(f"the stream of writes ended early: {failures[0]}")
    print(f"  killed after {len(acknowledged)} acknowledged writes ({rate:,.0f}/s, each synced before its answer)")
    figures.append(("acknowledged before the kill", f"{len(acknowledged):,}"))
    return acknowledged, sum(sent)


def check_recovery(node, client, acknowledged, sent, count_before):
    found = 0
    for key, vector in acknowledged.items():
        status, stored = client.request("GET", f"{INDEX}/vectors/{key}")
        found += status == 200 and float32(stored["vector"]) == float32(vector)
    figures.append(("found after the restart", f"{found:,}"))
    check(found == len(acknowledged), f"{found} of {len(acknowledged)} acknowledged writes are there, bit for bit")
    live = client.must("GET", f"{INDEX}/stats")["count"] - count_before
    check(len(acknowledged) <= live <= sent, f"{live} writes are stored, {sent} were sent: none lost, none invented")


def compare_digests(node, client, token):
    heading("Rebuild every projection from the log, and compare digests")
    running = client.must("GET", f"{INDEX}/stats")["digest"]
    check(node.end(signal.SIGTERM) == 0, "SIGTERM ends the node in good order")
    replayed = node.replayed_digests()["words"]
    startup = node.start()
    restarted = Client(node.port, token).must("GET", f"{INDEX}/stats")["digest"]
    for name, digest in (("running node", running), ("logdump's replay", replayed), ("after restart", restarted)):
        print(f"  {digest}  {name}")
    check(running == replayed == restarted, "all three are equal")
    figures.append(("start-up (replays the log)", f"{startup:.2f} s"))
    figures.append(("digest", running))


def wait_until_archived(client):
    deadline = time.monotonic() + 60
    while client.must("GET", "/api/stats")["archive"]["lag_events"]:
        if time.monotonic() > deadline:
            raise RuntimeError("nothing was archived for a minute")
        time.sleep(0.05)


def lose_and_restore(node, client, token):
    heading("Delete the index by accident, lose the data directory, restore from the archive to the second before")
    before = client.must("GET", f"{INDEX}/stats")
    time.sleep(1.1)  # So that the second before the accident has nothing of it.
    client.must("DELETE", INDEX)
    check(client.request("GET", f"{INDEX}/stats")[0] == 404, "the index is gone, by an ordinary DELETE")
    wait_until_archived(client)
    node.end(signal.SIGKILL)
    shutil.rmtree(node.data)
    print(node.command("springg", "backups", "--from", node.archive).rstrip().replace("archive ", "  archive ", 1)
          .replace("\n", "\n  "))
    shown = node.command("logdump", "show", node.archive, "--kind", "indexDeleted", "--json").splitlines()
    accident = datetime.datetime.fromisoformat(json.loads(shown[-1])["time"].replace("Z", "+00:00"))
    moment = (accident - datetime.timedelta(seconds=1)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    print(f"  deleted at {accident:%H:%M:%S.%f}, as logdump finds in the archive: restoring to {moment}")
    node.data = node.directory / "restored"
    started = time.monotonic()
    node.command("springg", "restore", "--from", node.archive, "--to", moment, "--data-path", str(node.data))
    seconds = time.monotonic() - started
    node.start()
    after = Client(node.port, token).must("GET", f"{INDEX}/stats")
    check(after["digest"] == before["digest"], f"all {after['count']} vectors are back: {after['digest']}")
    figures.append(("restored from the archive", f"{seconds:.2f} s"))


def run(node, vector_count):
    rows, queries = read_rows(vector_count), read_queries()
    node.start()
    token = node.token()
    client = Client(node.port, token)
    load(client, rows)
    show_searches(client, rows, queries)
    measure_searches(client, rows, queries)
    update_and_delete(client, rows)
    count = client.must("GET", f"{INDEX}/stats")["count"]
    acknowledged, sent = write_until_killed(node, token, acknowledgements=max(500, vector_count // 2))
    print(f"  restarted in {node.start():.2f} s")
    client = Client(node.port, token)
    check_recovery(node, client, acknowledged, sent, count)
    compare_digests(node, client, token)
    lose_and_restore(node, Client(node.port, token), token)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--vectors", type=int, default=5000, metavar="N", help="vectors to load, 500 to 5000")
    parser.add_argument("--archive", metavar="STORE", help="s3://BUCKET/PREFIX instead of a directory")
    options = parser.parse_args()
    if not 500 <= options.vectors <= 5000:
        parser.error("--vectors must be 500 to 5000")
    for number in (signal.SIGTERM, signal.SIGINT):  # So that the node and its directory go, too.
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="springg-demo-") as directory:
        node = Node(directory, options.archive)
        try:
            run(node, options.vectors)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            problems.append(str(error))
        finally:
            node.end(signal.SIGKILL)
    heading("Figures")
    for name, value in figures:
        print(f"  {name:29} {value}")
    if problems:
        print("\nNot as it must be:\n  " + "\n  ".join(problems), file=sys.stderr)
        sys.exit(1)
    print("\nEverything was as it must be.")


if __name__ == "__main__":
    main()
