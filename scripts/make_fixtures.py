#!/usr/bin/env python3
"""Makes Fixtures/ from the data set "wordnet-minilm": a part small enough for the repository, real enough to search.

Usage: scripts/make_fixtures.py SOURCE_DIRECTORY [DESTINATION_DIRECTORY]

The source holds base.f16 (rows of 384 little-endian half floats), queries.f32 (rows of 384 little-endian float32)
and texts.tsv.zst (id, part of speech, lexicographer file, words, gloss; tab-separated). The program `zstd` unpacks
the texts; everything else is the standard library. numpy makes it faster where it is there, with the same result.

Rows taken: every row that names one of EVERYDAY_WORDS, then the first other rows of the source until there are
5,000; so a demo that loads only the first thousand has the everyday words too. Queries: the first 100. The same
source gives the same bytes.
"""

import pathlib
import struct
import subprocess
import sys

DIMENSIONS = 384
ROW_COUNT = 5000
QUERY_COUNT = 100
TOP = 10

# What somebody who tries a search would type. The first 5,000 rows alone hold few of them.
EVERYDAY_WORDS = """
    apple bank bee bicycle bird boat book brain bridge cheese church city coffee dance dog dream drink egg fear film
    flower foot forest freedom friendship gold hair happiness heart hospital iron judge lake laugh lion love market
    milk money mountain museum music nurse painting peace pepper piano pilot planet poem radio rain rice river salt
    school sea ship silver snow soldier song spring storm sun tea telephone thunder tiger tomato train violin walk
    whale window wine
""".split()


def read_texts(source):
    """Lines of texts.tsv.zst, each as a list of five fields."""
    unpacked = subprocess.run(["zstd", "-dcq", source / "texts.tsv.zst"], check=True, stdout=subprocess.PIPE).stdout
    return [line.split("\t") for line in unpacked.decode("utf-8").splitlines()]


def choose_rows(texts):
    """Row numbers of the source: those with everyday words, then others, each group ascending."""
    wanted = set(EVERYDAY_WORDS)
    base = [fields for fields in texts if not fields[0].startswith("q")]
    everyday = [int(fields[0]) for fields in base if wanted & set(fields[3].lower().split(", "))]
    others = sorted(set(range(len(base))) - set(everyday))
    return (everyday + others)[:ROW_COUNT]


def exact_top(base, queries):
    """For each query the TOP rows by cosine in float64, nearest first, ties to the lower row; and the scores."""
    try:
        import numpy
    except ImportError:
        return exact_top_slowly(base, queries)
    rows = numpy.frombuffer(base, "<f2").astype(numpy.float64).reshape(-1, DIMENSIONS)
    wanted = numpy.frombuffer(queries, "<f4").astype(numpy.float64).reshape(-1, DIMENSIONS)
    rows /= numpy.linalg.norm(rows, axis=1, keepdims=True)
    wanted /= numpy.linalg.norm(wanted, axis=1, keepdims=True)
    scores = wanted @ rows.T
    order = numpy.argsort(-scores, axis=1, kind="stable")[:, : TOP + 1]
    return [[(int(row), float(scores[query, row])) for row in order[query]] for query in range(len(wanted))]


def exact_top_slowly(base, queries):
    def unit_rows(data, code, size):
        rows = []
        for start in range(0, len(data), size * DIMENSIONS):
            row = struct.unpack_from(f"<{DIMENSIONS}{code}", data, start)
            norm = sum(value * value for value in row) ** 0.5
            rows.append([value / norm for value in row])
        return rows

    rows = unit_rows(base, "e", 2)
    result = []
    for query in unit_rows(queries, "f", 4):
        scored = [(-sum(map(float.__mul__, query, row)), number) for number, row in enumerate(rows)]
        result.append([(number, -score) for score, number in sorted(scored)[: TOP + 1]])
    return result


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    source = pathlib.Path(sys.argv[1])
    here = pathlib.Path(__file__).resolve().parent.parent / "Fixtures"
    destination = pathlib.Path(sys.argv[2]) if len(sys.argv) == 3 else here
    destination.mkdir(exist_ok=True)

    texts = read_texts(source)
    chosen = choose_rows(texts)
    by_id = {fields[0]: fields for fields in texts}
    all_rows = (source / "base.f16").read_bytes()
    row_bytes = 2 * DIMENSIONS
    base = b"".join(all_rows[row * row_bytes : (row + 1) * row_bytes] for row in chosen)
    queries = (source / "queries.f32").read_bytes()[: QUERY_COUNT * 4 * DIMENSIONS]
    top = exact_top(base, queries)

    (destination / "base.f16").write_bytes(base)
    (destination / "queries.f32").write_bytes(queries)
    for name, ids in (
        ("texts.tsv", [str(row) for row in chosen]),
        ("queries.tsv", [f"q{number}" for number in range(QUERY_COUNT)]),
    ):
        lines = ["\t".join([f"wn-{by_id[key][0]}", *by_id[key][1:]]) + "\n" for key in ids]
        (destination / name).write_text("".join(lines), encoding="utf-8")
    nearest = [row for query in top for row, _ in query[:TOP]]
    (destination / "groundtruth.i32").write_bytes(struct.pack(f"<{len(nearest)}i", *nearest))

    gap = min(query[TOP - 1][1] - query[TOP][1] for query in top)
    print(f"{len(chosen)} rows, {QUERY_COUNT} queries; smallest gap between rank {TOP} and {TOP + 1}: {gap:.2e}")


if __name__ == "__main__":
    main()
