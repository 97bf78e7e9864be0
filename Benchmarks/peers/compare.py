#!/usr/bin/env python3
"""Compares Springg's graph with other libraries on the same vectors in the same run: recall@10 against queries a second.

Pass follows pass, each library in turn, so that whatever else the machine does hits all alike; a ratio is taken within a round, and
the median over the rounds is reported with the lowest and the highest. `make bench-peers` prepares everything and calls this.

Results go to a directory: peers.json (all figures), recall-qps.svg (the plot), peers.md (the tables).
"""
import argparse
import datetime
import json
import math
import os
import platform
import subprocess
import sys
from importlib import metadata

import numpy as np

import report
from libraries import K, M, EF_CONSTRUCTION, Springg, peers

EFS = [10, 14, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 128, 160, 200, 256, 320, 400, 512, 640, 800, 1024, 1280]
# Beyond this recall more candidates show nothing new; below that one nobody searches.
RECALL_ENOUGH = 0.997
RECALL_LEAST = 0.8
# What three steps of ef must bring: codes that nothing corrects lead no further.
RECALL_STANDS = 0.0005
# A measurement repeats its queries until it has taken so long.
PASS_SECONDS = 0.05
QUANTIZATIONS = [None, "none", "int8", "int4", "int1"]
THREADS = [1, 2]


class DataSet:
    """A directory as the benchmark program describes it (DataSet.swift), rows scaled to length 1."""

    def __init__(self, directory):
        self.directory = directory
        about = {"name": "wordnet-minilm" if "wordnet" in os.path.realpath(directory) else "fixtures", "dimensions": 384}
        if os.path.exists(f"{directory}/set.json"):
            with open(f"{directory}/set.json") as file:
                about = json.load(file)
        self.name, self.recipe = about["name"], about.get("recipe", "embeddings of WordNet's glosses")
        dimensions = about["dimensions"]
        if os.path.exists(f"{directory}/base.f32"):
            rows = np.fromfile(f"{directory}/base.f32", np.float32)
        else:
            rows = np.fromfile(f"{directory}/base.f16", np.float16).astype(np.float32)
        rows = rows.reshape(-1, dimensions)
        self.rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        self.queries = np.fromfile(f"{directory}/queries.f32", np.float32).reshape(-1, dimensions)
        self.truth = np.fromfile(f"{directory}/groundtruth.i32", np.int32).reshape(len(self.queries), -1)[:, :K]

    def recall(self, answers):
        return float(np.mean([len(np.intersect1d(a, t)) / K for a, t in zip(answers, self.truth)]))


def say(text):
    print(text, file=sys.stderr, flush=True)


def build(library, data_set, threads_list):
    """Builds with each number of threads, and keeps the last."""
    result = {"name": library.name, "build_seconds": {}, "points": {}}
    for threads in threads_list:
        seconds = library.build(threads)
        result["build_seconds"][str(threads)] = seconds
        say(f"  {library.name}: built with {threads} thread{'s' if threads > 1 else ''} in {seconds:.1f} s")
    result["bytes"] = library.bytes()
    return result


def recalls(library, data_set):
    """The values of ef that matter for a library, and the recall and the seconds of each."""
    points = []
    for ef in EFS:
        seconds, answers = library.search(ef, 1)
        recall = data_set.recall(answers)
        if recall >= RECALL_LEAST or ef == EFS[0]:
            points.append({"ef": ef, "recall": recall, "seconds": seconds})
        if recall >= RECALL_ENOUGH or len(points) > 3 and recall - points[-4]["recall"] < RECALL_STANDS:
            break
    return [point for point in points if point["recall"] >= RECALL_LEAST]


def measure(library, ef, threads, expected):
    passes = max(1, math.ceil(PASS_SECONDS / expected))
    seconds = queries = 0
    for _ in range(passes):
        taken, answers = library.search(ef, threads)
        seconds += taken
        queries += len(answers)
    return queries / seconds


def others_busy():
    """Seconds of processor time that the whole machine has used, and that this program and its children have."""
    ticks = [int(word) for word in open("/proc/stat").readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def compare(data_set, libraries, rounds, build_threads):
    say(f"{data_set.name}: {len(data_set.rows):,} × {data_set.rows.shape[1]}")
    results = [build(library, data_set, build_threads) for library in libraries]
    sweeps = []
    for library, result in zip(libraries, results):
        sweep = recalls(library, data_set)
        sweeps.append(sweep)
        result["points"] = {
            str(threads): [{"ef": p["ef"], "recall": p["recall"], "qps": []} for p in sweep] for threads in THREADS
        }
        if sweep:
            say(f"  {library.name}: recall {sweep[0]['recall']:.3f} to {sweep[-1]['recall']:.3f}")
    for number in range(rounds):
        say(f"  round {number + 1} of {rounds}")
        for threads in THREADS:
            # The order changes from round to round, so that nobody always follows the same neighbour.
            order = [(place + number) % len(libraries) for place in range(len(libraries))]
            for step in range(max(map(len, sweeps), default=0)):
                for place in order:
                    if step < len(sweeps[place]):
                        point = sweeps[place][step]
                        rate = measure(libraries[place], point["ef"], threads, point["seconds"] / threads)
                        results[place]["points"][str(threads)][step]["qps"].append(rate)
    for library in libraries:
        library.close()
    return {
        "name": data_set.name,
        "recipe": data_set.recipe,
        "rows": len(data_set.rows),
        "dimensions": data_set.rows.shape[1],
        "queries": len(data_set.queries),
        "rounds": rounds,
        "libraries": results,
    }


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    packages = {name: metadata.version(name) for name in ["hnswlib", "usearch", "faiss-cpu", "numpy"]}
    return {
        "date": datetime.date.today().isoformat(),
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "packages": packages,
        "M": M,
        "ef_construction": EF_CONSTRUCTION,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0],
        epilog="Example: make bench-peers ARGS='--sets real,realistic --rounds 3 --out docs/bench'",
    )
    parser.add_argument("--program", default=".build/release/bench", help="the benchmark program (default: %(default)s)")
    parser.add_argument("--embeddings", default="Fixtures", help="directory of the real embeddings (default: %(default)s)")
    parser.add_argument(
        "--sets",
        default="real",
        help="of real, realistic, hard, separated by commas (default: %(default)s; the others take minutes to build)",
    )
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the made sets (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, each library in turn (default: %(default)s)")
    parser.add_argument("--only", help="libraries of these names, separated by commas (default: all)")
    parser.add_argument(
        "--build-threads",
        default="2,1",
        help="build with each number of threads, and search the last (default: %(default)s)",
    )
    parser.add_argument("--place", default=".build/bench-data", help="where made sets are kept (default: %(default)s)")
    parser.add_argument("--out", default=".build/bench", help="directory of the results (default: %(default)s)")
    parser.add_argument("--from-json", metavar="FILE", help="measure nothing: draw and print the figures of a peers.json")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of the tables")
    arguments = parser.parse_args()
    unknown = set(arguments.sets.split(",")) - {"real", "realistic", "hard"}
    if unknown:
        parser.error(f"no such set: {', '.join(sorted(unknown))}")

    if arguments.from_json:
        with open(arguments.from_json) as file:
            figures = json.load(file)
    else:
        figures = {"machine": machine(), "sets": []}
        for kind in arguments.sets.split(","):
            directory = arguments.embeddings
            if kind != "real":
                command = [arguments.program, "data", kind, "--rows", str(arguments.rows), "--place", arguments.place]
                directory = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
            data_set = DataSet(directory)
            libraries = [Springg(arguments.program, data_set, kind) for kind in QUANTIZATIONS] + peers(data_set)
            wanted = arguments.only.split(",") if arguments.only else [each.name for each in libraries]
            libraries = [each for each in libraries if each.name in wanted and each.knows()]
            build_threads = [int(text) for text in arguments.build_threads.split(",")]
            before, started = others_busy(), own_seconds()
            figures["sets"].append(compare(data_set, libraries, arguments.rounds, build_threads))
            busy, own = others_busy() - before, own_seconds() - started
            figures["sets"][-1]["others_cpu_seconds"] = round(max(0.0, busy - own), 1)
            figures["sets"][-1]["own_cpu_seconds"] = round(own, 1)
            del data_set, libraries

    os.makedirs(arguments.out, exist_ok=True)
    with open(f"{arguments.out}/peers.json", "w") as file:
        json.dump(figures, file, indent=1)
        file.write("\n")
    with open(f"{arguments.out}/peers.md", "w") as file:
        file.write(report.markdown(figures))
    with open(f"{arguments.out}/recall-qps.svg", "w") as file:
        file.write(report.plot(figures))
    print(json.dumps(figures) if arguments.json else report.text(figures))
    say(f"written: {arguments.out}/peers.json, peers.md, recall-qps.svg")


def own_seconds():
    """Processor time of this program and of its children that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


if __name__ == "__main__":
    main()
