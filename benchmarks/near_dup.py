"""The near-duplicate step with its output, two workers: seconds beside datatrove's four MinHash stages, and the truth.

BENCH_TEXT is a folder of documentation, BENCH_PEERS an interpreter with datatrove. Both get two jsonl files of the same
documents of 1 to 5 KB and write what is kept and what is removed. Ours runs its task functions in a pool of two
processes that stands before the clock starts, as a cluster does. What is removed is held against the Jaccard indexes of
all pairs (word 5-grams as this file cuts them): precision is the share of removed documents to which a kept one is as
similar as the threshold, or that it contains; recall the share of similar pairs of which at least one is gone.
"""

import gzip
import hashlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array

from benchmarks import documentation
from benchmarks.claim import record
from cluster.data import Task
from pipeline import rows
from pipeline.corpus import documents, shuffle, tables
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.near.config import DedupConfig
from pipeline.corpus.near.plan import near
from pipeline.corpus.records import drop
from pipeline.corpus.work import Work
from pipeline.rows import Row
from pipeline.stage import StageContext, StageFolder

WORKERS, PIECES, ROUNDS = 2, 4, 3
THRESHOLD, CONTAINMENT = 0.75, 0.95
WORD = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+")  # a Chinese character is one
Pairs = dict[int, list[int]]
SOURCE = "documentation"
CONFIG = cast(
    CorpusConfig,
    SimpleNamespace(
        pieces=PIECES,
        sources=[SimpleNamespace(name=SOURCE, priority=0)],
        dedup=DedupConfig(threshold=THRESHOLD, containment=CONTAINMENT),
        substring=SimpleNamespace(enabled=False),
    ),
)

PEER = """
import json, sys, time
from importlib.metadata import version
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

if __name__ == "__main__":
    texts, out, workers = sys.argv[1], sys.argv[2], int(sys.argv[3])
    config = MinhashConfig()
    stages = [
        ([JsonlReader(texts), MinhashDedupSignature(out + "/signatures", config=config)], workers),
        ([MinhashDedupBuckets(out + "/signatures", out + "/buckets", config=config)], config.num_buckets),
        ([MinhashDedupCluster(out + "/buckets", out + "/gone", config=config)], 1),
        ([JsonlReader(texts), MinhashDedupFilter(out + "/gone", exclusion_writer=JsonlWriter(out + "/removed")),
          JsonlWriter(out + "/kept")], workers),
    ]
    begin, seconds = time.perf_counter(), []
    for pipeline, tasks in stages:
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=workers).run()
        seconds.append(round(time.perf_counter() - begin - sum(seconds), 2))
    print(json.dumps({"seconds": seconds, "version": version("datatrove")}))
"""


def main(megabytes: float = 80) -> None:
    """Ratio of wall times; ours runs before and after the peer."""
    made = [_row(text) for text in documentation.documents(int(megabytes * 1e6))]
    with tempfile.TemporaryDirectory() as scratch:
        texts = Path(scratch) / "texts"
        texts.mkdir()
        for part in range(WORKERS):
            lines = (json.dumps({"id": row["id"], "text": row["text"]}) + "\n" for row in made[part::WORKERS])
            (texts / f"{part}.jsonl").write_text("".join(lines))
        runs, gone, counts = [], set[str](), dict[str, Any]()
        for turn in range(ROUNDS):
            seconds, gone, counts = ours(texts, Path(scratch) / f"ours{turn}")
            runs.append(seconds)
            if turn == 0:
                told, peer_gone = datatrove(texts, Path(scratch) / "peer")
    value = sum(told["seconds"]) / statistics.median(sum(run.values()) for run in runs)
    size = sum(len(row["text"].encode()) for row in made)
    facts = {"documents": len(made), "megabytes": round(size / 1e6, 2), "seconds": runs, "counts": counts}
    truth = close_pairs([row["text"] for row in made])
    number = {row["id"]: i for i, row in enumerate(made)}
    quality = {"ours": _quality(truth, {number[i] for i in gone})}
    quality["datatrove"] = _quality(truth, {number[i] for i in peer_gone})
    peers = {"datatrove": {"value": 1.0, "version": told["version"], "seconds": told["seconds"]}}
    what = "near-duplicates with output and verification, 2 workers: time of datatrove / ours"
    record("near_dup", what, "times", round(value, 1), "at least 10", value >= 10, runs=[facts, quality], peers=peers)
    moved = counts["bytes_moved_a_document"]
    record("near_dup_bytes", "bytes that near-dup moves, a document", "bytes", moved, "at most 256", moved <= 256)
    own = quality["ours"]
    record(
        "near_dup_quality",
        f"near-duplicates removed, of pairs with a Jaccard index of {THRESHOLD} or more",
        "of pairs",
        own["recall"],
        "at least 0.95, at a precision of 1",
        own["recall"] >= 0.95 and own["precision"] == 1,
        runs=[quality],
        peers={"datatrove": {"value": quality["datatrove"]["recall"], "version": told["version"]}},
    )


def _row(text: str) -> Row:
    return Row(id=rows.document_id(SOURCE, text.encode()), source=SOURCE, text=text, meta="")


def ours(texts: Path, root: Path) -> tuple[dict[str, float], set[str], dict[str, Any]]:
    """Seconds of each part, ids that went, and counts."""
    folder = StageFolder.open(str(root), "corpus", "benchmark")
    context = SimpleNamespace(folder=folder, counts={}, event=lambda *_, **__: None)
    context.count = lambda **facts: context.counts.update(facts)
    seconds: dict[str, float] = {}
    with ProcessPoolExecutor(WORKERS) as pool:
        list(pool.map(_warm, range(WORKERS)))

        def run(label: str, work: Work, tasks: list[Task], unit: str) -> None:
            begin = time.perf_counter()
            waiting = [pool.submit(partial(work, folder, CONFIG), name=t.name, **t.arguments) for t in tasks]
            for task in waiting:
                task.result()
            label = label.split(",")[0]
            seconds[label] = round(seconds.get(label, 0) + time.perf_counter() - begin, 3)

        files = [{"path": str(path), "number": i} for i, path in enumerate(sorted(texts.iterdir()))]
        every = range(PIECES)
        run("read", read, [Task(f"work/read/{i}.json", own, 1) for i, own in enumerate(files)], "files")
        run(
            "gather", gather, [Task(rows.piece(documents.DOCS, n), {"n": n, "files": len(files)}, 1) for n in every], ""
        )
        begin, before = time.perf_counter(), sum(seconds.values())
        near(cast(StageContext, context), run, CONFIG)
        seconds["planning"] = round(time.perf_counter() - begin - sum(seconds.values()) + before, 3)
        run("write", write, [Task(rows.piece("dropped", n), {"n": n}, 1) for n in every], "")
    gone = {i for n in every for i in folder.read_table(rows.piece("dropped", n))["id"].to_pylist()}
    return seconds, gone, context.counts["near_dup"]


def _warm(_: int) -> None:
    time.sleep(0.5)  # so that each process of the pool takes one


def read(folder: StageFolder, config: CorpusConfig, name: str, path: str, number: int) -> int:
    """Documents of a file, in parts by id."""
    by_piece: list[list[Row]] = [[] for _ in range(config.pieces)]
    with Path(path).open() as lines:
        for line in lines:
            record = json.loads(line)
            row = Row(id=record["id"], source=SOURCE, text=record["text"], meta="")
            by_piece[rows.piece_of(row["id"], config.pieces)].append(row)
    shuffle.write(folder, f"work/read/{number}.bin", [tables.pack(tables.documents(own)) for own in by_piece])
    folder.write_json(name, {})
    return sum(map(len, by_piece))


def gather(folder: StageFolder, config: CorpusConfig, name: str, n: int, files: int) -> int:
    """A canonical piece, and no fates of the steps before."""
    parts = [tables.unpack(shuffle.take(folder, f"work/read/{i}.bin", n)) for i in range(files)]
    for step in ("exact_dup", "split"):
        documents.write_fates(folder, config, step, n, documents.FATES.empty_table())
    table = tables.by_id(tables.concat(parts, tables.DOCUMENTS))
    folder.write_table(name, table, documents.ROWS_A_GROUP)
    return len(table)


def write(folder: StageFolder, config: CorpusConfig, name: str, n: int) -> int:
    """What is kept of a piece, and what is dropped with its evidence."""
    whole = folder.read_table(rows.piece(documents.DOCS, n))
    fates = documents.fates(folder, config, "near_dup", n)
    at = (fates["place"].to_numpy() & np.uint64(0xFFFFFFFF)).astype(np.int64)
    left = np.ones(len(whole), bool)
    left[at] = False
    folder.write_table(rows.piece("kept", n), whole.filter(pa.array(left)))
    drops = []
    for row, fate in zip(tables.rows(whole.take(pa.array(at))), fates.to_pylist(), strict=True):
        made = drop(SOURCE, row["id"], "near_dup", fate["reason"], fate["score"], row["text"], fate["partner"])
        drops.append({**made, "cluster": fate["cluster"]})
    folder.write_table(name, pa.Table.from_pylist(drops, schema=tables.DROPPED))
    return len(whole)


def datatrove(texts: Path, out: Path) -> tuple[dict[str, Any], set[str]]:
    """What the peer told, and the ids that it removed."""
    python = os.environ.get("BENCH_PEERS")
    if not python:
        raise SystemExit("Set BENCH_PEERS to the interpreter of an environment with datatrove")
    out.mkdir()
    (out / "peer.py").write_text(PEER)  # its workers import the file that was run
    command = [python, str(out / "peer.py"), str(texts), str(out), str(WORKERS)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode:
        raise SystemExit(f"the peer has failed: {done.stderr.strip().splitlines()[-1]}")
    removed = {
        json.loads(line)["id"] for path in (out / "removed").rglob("*.jsonl.gz") for line in gzip.open(path, "rt")
    }
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told, removed


def close_pairs(texts: list[str]) -> tuple[Pairs, Pairs]:
    """Document -> those as similar as the threshold, and those that contain it, of all pairs, block by block."""
    hashes, at = [], [0]
    for text in texts:
        words = WORD.findall(text.lower())
        grams = {" ".join(words[i : i + 5]) for i in range(max(1, len(words) - 4))} if words else set()
        hashes += [hashlib.blake2b(gram.encode(), digest_size=8).digest() for gram in grams]
        at.append(len(hashes))
    _, number, df = np.unique(np.frombuffer(b"".join(hashes), "<u8"), return_inverse=True, return_counts=True)
    size = np.diff(at)
    shared = df[number] > 1  # a shingle of one document is in no intersection
    keep = np.concatenate([[0], np.cumsum(shared)])[at]
    has = csr_array((np.ones(shared.sum(), np.int32), number[shared], keep), shape=(len(texts), len(df)))
    similar: Pairs = {}
    containing: Pairs = {}
    for first in range(0, len(texts), 500):
        both = (has[first : first + 500] @ has.T).tocoo()
        a, b = both.row + first, both.col
        score = both.data / (size[a] + size[b] - both.data)
        for found, close in ((similar, score >= THRESHOLD), (containing, both.data / size[a] >= CONTAINMENT)):
            close &= a != b
            for i, k in zip(a[close].tolist(), b[close].tolist(), strict=True):
                found.setdefault(i, []).append(k)
    return similar, containing


def _quality(truth: tuple[Pairs, Pairs], gone: set[int]) -> dict[str, Any]:
    similar, containing = truth
    pairs = [(i, k) for i, others in similar.items() for k in others if i < k]
    right = sum(any(k not in gone for k in [*similar.get(i, ()), *containing.get(i, ())]) for i in gone)
    caught = sum(i in gone or k in gone for i, k in pairs)
    return {
        "removed": len(gone),
        "precision": round(right / max(1, len(gone)), 4),
        "pairs": len(pairs),
        "recall": round(caught / max(1, len(pairs)), 4),
    }


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
