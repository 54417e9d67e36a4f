"""Exact removal of repeated substrings, one core: bytes a second of the whole step, beside a suffix array with LCP.

BENCH_TEXT is a folder of real text, BENCH_PEERS an interpreter with pydivsufsort. Both see the same documents, in
turns. The peer's time is that of the array and of Kasai's LCP only; what it takes to find the ranges and the documents
is not counted. The bytes that ours removes must be those that the array says.
"""

import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from benchmarks import real_text
from benchmarks.claim import record
from cluster.data import Task
from pipeline import rows
from pipeline.corpus import documents, tables
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.substring.config import SubstringConfig
from pipeline.corpus.substring.plan import substring
from pipeline.rows import Row
from pipeline.stage import StageContext, StageFolder

LENGTH, ROUNDS = 200, 3
PIECE_BYTES = 16_000_000

PEER = """
import json, sys, time
import numpy as np, pydivsufsort
folder, length = sys.argv[1], int(sys.argv[2])
data, ends = open(folder + "/text", "rb").read(), np.load(folder + "/ends.npy")
begin = time.perf_counter()
order = pydivsufsort.divsufsort(data)
shared = pydivsufsort.kasai(data, order)
seconds = time.perf_counter() - begin
head = np.concatenate([[True], shared[:-1] < length])
group = np.cumsum(head, dtype=np.int32) - 1
whole = ends[np.searchsorted(ends, order, side="right")] - order >= length
first = np.full(group[-1] + 1, len(data), np.int64)
np.minimum.at(first, group[whole], order[whole])
later = order[whole & (order != first[group])]
marks = np.bincount(later, minlength=len(data) + 1) - np.bincount(later + length, minlength=len(data) + 1)
np.save(folder + "/gone.npy", np.cumsum(marks)[:-1] > 0)
from importlib.metadata import version
print(json.dumps({"seconds": seconds, "version": version("pydivsufsort")}))
"""


def main(megabytes: float = 48) -> None:
    """Bytes a second, and the ratio to the peer's in interleaved rounds."""
    found = _documents(int(megabytes * 1e6))
    texts = [row["text"].encode() for row in found]
    size = sum(map(len, texts))
    times: dict[str, list[float]] = {"ours": [], "peer": []}
    with tempfile.TemporaryDirectory() as top:
        Path(top, "text").write_bytes(b"".join(texts))
        np.save(Path(top, "ends.npy"), np.cumsum([len(text) for text in texts]))
        for k in range(ROUNDS):
            seconds, gone = _ours(f"{top}/run{k}", found, size)
            times["ours"].append(seconds)
            peer = _peer(top)
            times["peer"].append(peer["seconds"])
            expected = _whole_characters(b"".join(texts), np.load(Path(top, "gone.npy")))
            assert (gone == expected).all(), f"{(gone != expected).sum()} bytes differ from the suffix array's"
    speed = {name: size / 1e6 / statistics.median(taken) for name, taken in times.items()}
    ratios = [p / o for o, p in zip(times["ours"], times["peer"], strict=True)]
    facts = {"ratios": ratios, "MB": size / 1e6, "documents": len(texts), "removed": float(gone.mean()), "equal": True}
    record(
        "substring",
        f"exact substrings of {LENGTH} bytes, the whole step on one core; ratio to suffix array + LCP in runs",
        "MB/s",
        round(speed["ours"], 2),
        "at least 5, aim 10",
        speed["ours"] >= 5,
        runs=[facts, times],
        peers={"pydivsufsort": {"value": round(speed["peer"], 2), "version": peer["version"]}},
    )


def _documents(size: int) -> list[Row]:
    """Real files as documents with distinct texts, sorted by id."""
    made: dict[bytes, Row] = {}
    for path in real_text.chosen(size):
        text = path.read_text(errors="ignore")
        key = hashlib.blake2b(text.encode()).digest()
        made[key] = Row(id=rows.document_id("real", text.encode()), source="real", text=text, meta="")
    return sorted(made.values(), key=lambda row: row["id"])


def _ours(run: str, found: list[Row], size: int) -> tuple[float, Any]:
    """Seconds of the step, from canonical documents on the disk to cuts on the disk, and which bytes go."""
    pieces = max(2, -(-size // PIECE_BYTES))
    settings = SubstringConfig(enabled=True, length=LENGTH, min_left=0)
    dedup = SimpleNamespace(enabled=False)
    config = cast(CorpusConfig, SimpleNamespace(pieces=pieces, dedup=dedup, substring=settings))
    folder = StageFolder.open(run, "corpus", "benchmark")
    nothing = documents.FATES.empty_table()
    parts: list[list[Row]] = [[] for _ in range(pieces)]
    for row in found:
        parts[rows.piece_of(row["id"], pieces)].append(row)
    for n, part in enumerate(parts):
        folder.write_table(rows.piece(documents.DOCS, n), tables.documents(part), documents.ROWS_A_GROUP)
        for step in documents.steps_before(config, "substring"):
            documents.write_fates(folder, config, step, n, nothing)

    def run_all(label: str, work: Callable[..., int], tasks: list[Task], unit: str) -> None:
        for task in tasks:
            work(folder, config, task.name, **task.arguments)

    context = SimpleNamespace(folder=folder, count=lambda **_: None, event=lambda *_, **__: None)
    begin = time.perf_counter()
    substring(cast(StageContext, context), run_all, config)
    seconds = time.perf_counter() - begin
    gone, start = np.zeros(size, bool), 0
    for n, part in enumerate(parts):
        begins = start + np.cumsum([0] + [len(row["text"].encode()) for row in part])
        for _, table in documents.cuts(folder, config, n):
            for row, a, b in zip(*(table[name].to_pylist() for name in ("row", "start", "end")), strict=True):
                gone[begins[row] + a : begins[row] + b] = True
        start = int(begins[-1])
    return seconds, gone


def _peer(folder: str) -> dict[str, Any]:
    import json

    python = os.environ.get("BENCH_PEERS")
    if not python:
        raise SystemExit("Set BENCH_PEERS to the interpreter of an environment with pydivsufsort")
    command = [python, "-c", PEER, folder, str(LENGTH)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _whole_characters(data: bytes, gone: Any) -> Any:
    """Where the suffix array's ranges hold whole characters."""
    starts = np.flatnonzero((np.frombuffer(data, np.uint8) & 0xC0) != 0x80)
    return np.repeat(np.logical_and.reduceat(gone, starts), np.diff(starts, append=len(data)))


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
