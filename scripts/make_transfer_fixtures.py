#!/usr/bin/env python3
"""Writes Fixtures/transfer: small files of every format that `springg import` reads and `springg export` writes.

Independent of the Swift code: made from the documented layouts (docs/import-export.md) with Python's own struct and json,
and the arrays with NumPy itself. Run it where NumPy is; the same version gives the same bytes.

    scripts/make_transfer_fixtures.py            writes Fixtures/transfer
"""
import io
import json
import os
import random
import struct
import sys

import numpy

DIMENSIONS = 5
TARGET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Fixtures", "transfer")


def bits(pattern):
    return struct.unpack("<f", struct.pack("<I", pattern))[0]


# Every kind of finite float32: zeros of both signs, denormals, the largest and the smallest, what a decimal cannot say.
SPECIAL = [0.0, -0.0, bits(1), bits(0x80000001), bits(0x007FFFFF), bits(0x00800000), bits(0x7F7FFFFF), bits(0xFF7FFFFF),
           1.0, -1.0, bits(0x3DCCCCCD), bits(0x3F7FFFFF), 16777217.0, 1e-7, 1e21]

# Metadata as the program keeps it: three fields in this order, the values as they were sent.
METADATA = {
    "plain": '{"published_date":"2024-01-15","modified_date":"2024-01-20","custom":{"title":"Caf\u00e9","n":[1,2.50,-0]}}',
    "spaces": '{"custom":{ "a" : 1 ,\t"b":{} }}',
    "lines\nin the id": '{"custom":{\n    "title": "two\\nlines",\r\n    "x": null\n}}',
    "quote\"back\\slash/": '{"published_date":"\\u00e9\\/"}',
    "\u6f22\u5b57 \U0001F600": '{"custom":{"\u6f22":"\U0001F600"}}',
}


def rows():
    """id, vector, metadata text or None; ids in byte order, as an export writes them."""
    random.seed(1)
    ids = list(METADATA) + ["a", "\x01control", "\u00e9", "e\u0301", "\U0010FFFF", "x" * 512, "0", "-", " ", "../up", "a/b"]
    made = []
    for number, name in enumerate(ids):
        vector = [SPECIAL[(number * DIMENSIONS + i) % len(SPECIAL)] if number < 6
                  else bits(random.getrandbits(32) & 0xBFFFFFFF) for i in range(DIMENSIONS)]
        made.append((name, vector, METADATA.get(name)))
    return sorted(made, key=lambda row: row[0].encode())


def springg_bin(made):
    out = b"SPRINGG1" + struct.pack("<III", 1, DIMENSIONS, len(made)) + bytes(12)
    for name, vector, _ in made:
        out += struct.pack("<I", len(name.encode())) + name.encode() + struct.pack(f"<{DIMENSIONS}f", *vector)
    return out


def text(value):
    """A JSON text with only quotes, backslashes and control characters escaped, as an export writes it."""
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f", '"': '\\"', "\\": "\\\\"}
    return '"' + "".join(short.get(c, f"\\u{ord(c):04x}" if ord(c) < 32 else c) for c in value) + '"'


def meta(made):
    lines = [f"  {text(name)}: {metadata}" for name, _, metadata in made if metadata]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def member(metadata):
    if metadata is None:
        return ""
    if "\n" in metadata or "\r" in metadata:
        return ',"metadata_text":' + text(metadata)
    return ',"metadata":' + metadata


def labels(made):
    return "".join(f'{{"id":{text(name)}{member(metadata)}}}\n' for name, _, metadata in made).encode()


def json_lines(made):
    """Numbers as Python writes them, which is not how an export does: for reading."""
    def number(value):
        return json.dumps(float(numpy.float32(value)))
    return "".join(f'{{"id":{text(name)},"vector":[{",".join(map(number, vector))}]{member(metadata)}}}\n'
                   for name, vector, metadata in made).encode()


def go_directory():
    """What the Go program leaves when it is killed: rows in any order, indented metadata, a journal."""
    def dump(value, indent=None):
        # Go escapes these in texts; its maps are sorted.
        out = json.dumps(value, indent=indent, sort_keys=True, ensure_ascii=False,
                         separators=(",", ": ") if indent else (",", ":"))
        return out.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    vectors = [("b", [1, 2, 3, 4, 5]), ("a", [0.5, -0.25, 0.125, 0, -0.0]), ("gone", [9, 9, 9, 9, 9]),
               ("c", [1e-3, 2e-3, 3e-3, 4e-3, 5e-3])]
    metadata = {"a": {"published_date": "2024-01-15", "custom": {"title": "a < b & c"}}, "gone": {"modified_date": "x"},
                "b": {"custom": {"tags": ["old"]}}}
    journal = [{"op": "add", "id": "d", "vector": [1, 1, 1, 1, 1], "metadata": {"custom": {"k": "v"}}},
               {"op": "update", "id": "b", "vector": [5, 4, 3, 2, 1]},
               {"op": "delete", "id": "gone"},
               {"op": "add", "id": "e", "vector": [2, 2, 2, 2, 2]},
               {"op": "delete", "id": "e"},
               {"op": "update", "id": "d", "vector": [1, 1, 1, 1, 2], "metadata": {"custom": {"k": "w"}}}]
    return {
        "articles.bin": springg_bin([(name, vector, None) for name, vector in vectors]),
        "articles.meta": dump(metadata, indent=2).encode(),
        "articles.wal": "".join(dump(entry) + "\n" for entry in journal).encode(),
    }


def npy(array, version=None):
    out = io.BytesIO()
    numpy.lib.format.write_array(out, array, version=version)
    return out.getvalue()


def main():
    made = rows()
    array = numpy.array([vector for _, vector, _ in made], dtype="<f4")
    half = numpy.arange(0, 0x7C00, 53, dtype="<u2")
    half = numpy.concatenate([half, half | 0x8000])
    half = half[:len(half) // DIMENSIONS * DIMENSIONS].view("<f2").reshape(-1, DIMENSIONS)
    files = {
        "export/all.bin": springg_bin(made),
        "export/all.meta": meta(made),
        "export/all.npy": npy(array),
        "export/all.ids.jsonl": labels(made),
        "read/all.jsonl": json_lines(made),
        "read/v2.npy": npy(array, (2, 0)),
        "read/v3.npy": npy(array, (3, 0)),
        "read/half.npy": npy(half),
        "read/half.f32": half.astype("<f4").tobytes(),
        "refused/double.npy": npy(array.astype("<f8")),
        "refused/big.npy": npy(array.astype(">f4")),
        "refused/fortran.npy": npy(numpy.asfortranarray(array)),
        "refused/flat.npy": npy(array.reshape(-1)),
        "refused/record.npy": npy(numpy.zeros(2, dtype=[("x", "<f4")])),
    }
    files.update({"go/" + name: content for name, content in go_directory().items()})
    for name, content in files.items():
        path = os.path.join(TARGET, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(content)
    print(f"{len(files)} files, {sum(map(len, files.values()))} bytes in {os.path.normpath(TARGET)}")


if __name__ == "__main__":
    sys.exit(main())
