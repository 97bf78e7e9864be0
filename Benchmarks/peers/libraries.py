"""The libraries that are compared, each behind the same few methods.

All get the same float32 rows, already of length 1, M = 16 and efConstruction = 200, and answer all queries in one call, so that no
Python runs between two searches.
"""
import json
import os
import subprocess
import tempfile
import time

import numpy as np

M = 16
EF_CONSTRUCTION = 200
K = 10


def compact(value):
    """JSON without blanks: one word of a line."""
    return json.dumps(value, separators=(",", ":"))


class Springg:
    """Springg's database in a process of its own (`bench worker`), told what to do through a pipe."""

    def __init__(self, program, data_set, quantization):
        self.options = {"m": M, "ef_construction": EF_CONSTRUCTION}
        self.name = "springg"
        if quantization:
            self.options["quantization"] = quantization
            self.name += " " + quantization
        self.program, self.data_set, self.process = program, data_set, None
        self.answers = tempfile.NamedTemporaryFile(suffix=".i32")

    def _start(self):
        command = [self.program, "worker", self.data_set.directory, "--place", os.path.dirname(self.program)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.name}: the worker ended at: {line}")
        return json.loads(answer)

    def knows(self):
        """Whether this build of Springg has the quantization that was asked for."""
        if "quantization" not in self.options:
            return True
        self._start()
        known = self._ask("known " + compact({"quantization": self.options["quantization"]}))["known"]
        self.close()
        return known

    def build(self, threads):
        self.close()
        self._start()
        # The product uses all cores there are: one thread means that it has one core.
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(self.process.pid, set(cores[:threads]))
        self.built = self._ask("build " + compact(self.options))
        os.sched_setaffinity(self.process.pid, set(cores))
        return self.built["write_seconds"] + self.built["link_seconds"]

    def search(self, ef, threads):
        seconds = self._ask(f"search {ef} {threads} {self.answers.name}")["seconds"]
        return seconds, np.fromfile(self.answers.name, np.int32).reshape(-1, K)

    def bytes(self):
        return self.built["memory_bytes"]

    def close(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()
            self.process = None


class Library:
    """A library in this process."""

    def __init__(self, data_set):
        self.data_set = data_set
        self.index = None

    def knows(self):
        return True

    def build(self, threads):
        self.index = None
        started = time.perf_counter()
        self._build(self.data_set.rows, threads)
        return time.perf_counter() - started

    def search(self, ef, threads):
        self._prepare(ef, threads)
        started = time.perf_counter()
        answers = self._search(self.data_set.queries, threads)
        return time.perf_counter() - started, np.asarray(answers)

    def _prepare(self, ef, threads):
        pass

    def close(self):
        self.index = None


class Hnswlib(Library):
    name = "hnswlib"

    def _build(self, rows, threads):
        import hnswlib

        self.index = hnswlib.Index(space="cosine", dim=rows.shape[1])
        self.index.init_index(max_elements=len(rows), M=M, ef_construction=EF_CONSTRUCTION)
        self.index.add_items(rows, num_threads=threads)

    def _prepare(self, ef, threads):
        self.index.set_ef(ef)

    def _search(self, queries, threads):
        return self.index.knn_query(queries, k=K, num_threads=threads)[0]

    def bytes(self):
        return self.index.index_file_size()


class USearch(Library):
    def __init__(self, data_set, kind):
        super().__init__(data_set)
        self.kind = kind
        self.name = "usearch " + kind

    def _numbers(self, vectors):
        """For i8 what suits it best: each vector stretched to the whole range, instead of the library's own rounding."""
        if self.kind == "f32":
            return vectors
        return np.rint(vectors * (127 / np.abs(vectors).max(axis=1, keepdims=True))).astype(np.int8)

    def _build(self, rows, threads):
        from usearch.index import Index

        self.index = Index(
            ndim=rows.shape[1], metric="cos", dtype=self.kind, connectivity=M, expansion_add=EF_CONSTRUCTION
        )
        self.queries = self._numbers(self.data_set.queries)
        self.index.add(np.arange(len(rows)), self._numbers(rows), threads=threads)

    def _prepare(self, ef, threads):
        self.index.expansion_search = ef

    def _search(self, queries, threads):
        return self.index.search(self.queries, K, threads=threads).keys

    def bytes(self):
        return self.index.memory_usage


class Faiss(Library):
    def __init__(self, data_set, kind):
        super().__init__(data_set)
        self.kind = kind
        self.name = "faiss " + kind

    def _build(self, rows, threads):
        import faiss

        faiss.omp_set_num_threads(threads)
        # Of vectors of length 1 the order by L2 is that by cosine.
        if self.kind == "flat":
            self.index = faiss.IndexHNSWFlat(rows.shape[1], M, faiss.METRIC_L2)
        else:
            self.index = faiss.IndexHNSWSQ(rows.shape[1], faiss.ScalarQuantizer.QT_8bit, M, faiss.METRIC_L2)
            self.index.train(rows)
        self.index.hnsw.efConstruction = EF_CONSTRUCTION
        self.index.add(rows)

    def _prepare(self, ef, threads):
        import faiss

        faiss.omp_set_num_threads(threads)
        self.index.hnsw.efSearch = ef

    def _search(self, queries, threads):
        return self.index.search(queries, K)[1]

    def bytes(self):
        import faiss

        return len(faiss.serialize_index(self.index))


def peers(data_set):
    return [
        Hnswlib(data_set), USearch(data_set, "f32"), USearch(data_set, "i8"), Faiss(data_set, "flat"),
        Faiss(data_set, "SQ8"),
    ]
