"""Text to MinHash signature on one core: ours beside datasketch, rensa and datatrove, in turns.

BENCH_TEXT is a folder of real text, BENCH_PEERS an interpreter with the peers. All sign the same documents with word
5-grams and 128 values; the time is that of the process, from str to signature. Peers split at blanks in lower case, as
their users do; datatrove runs as it is shipped. The slow ones get fewer documents.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import documentation
from benchmarks.claim import record
from pipeline.corpus import shingles
from pipeline.corpus.near import minhash

ROUNDS, VALUES = 5, 128
SHARE = {"datatrove": 20, "datasketch": 4}  # of the documents, one in so many

PEER = """
import json, sys, time
from importlib.metadata import version
texts, values = json.load(open(sys.argv[1])), int(sys.argv[2])
import datasketch, rensa
from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature

def grams(text):
    words = text.lower().split()
    return [" ".join(words[i : i + 5]) for i in range(max(1, len(words) - 4))]

def by_datasketch(texts):
    for text in texts:
        made = datasketch.MinHash(values)
        made.update_batch([gram.encode() for gram in grams(text)])

def by_rensa(texts):
    for text in texts:
        made = rensa.RMinHash(num_perm=values, seed=1)
        made.update(grams(text))
        made.digest()

step = MinhashDedupSignature("/tmp/unused", config=MinhashConfig(num_buckets=values // 8, hashes_per_bucket=8))
def by_datatrove(texts):
    for text in texts:
        step.get_signature(step.get_shingles(text))

calls = {"datasketch": by_datasketch, "rensa": by_rensa, "datatrove": by_datatrove}
for call in calls.values():
    call(texts[:2])
print(json.dumps({name: version(name) for name in calls}), flush=True)
for line in sys.stdin:
    name, share = line.split()
    some = texts[:: int(share)]
    begin = time.process_time()
    calls[name](some)
    seconds = time.process_time() - begin
    print(json.dumps(sum(len(text.encode()) for text in some) / 1e6 / seconds), flush=True)
"""


def main(megabytes: float = 12) -> None:
    """MB/s of each, medians of interleaved rounds."""
    texts = documentation.documents(int(megabytes * 1e6))
    size = sum(len(text.encode()) for text in texts) / 1e6
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "texts.json"
        path.write_text(json.dumps(texts))
        peers, versions = start(path)
        rates: dict[str, list[float]] = {name: [] for name in ("ours", *versions)}
        for _ in range(ROUNDS):
            begin = time.process_time()
            minhash.signatures(shingles.grams(texts, 5, whole=True), VALUES)
            rates["ours"].append(size / (time.process_time() - begin))
            for name in versions:
                rates[name].append(ask(peers, f"{name} {SHARE.get(name, 1)}"))
        peers.communicate()
    found = {name: round(statistics.median(own), 2) for name, own in rates.items()}
    record(
        "minhash",
        "text to MinHash signature, one core",
        "MB/s",
        found["ours"],
        "at least 10",
        found["ours"] >= 10,
        peers={name: {"value": found[name], "version": version} for name, version in versions.items()},
        runs=[{"documents": len(texts), "megabytes": round(size, 2), "rates": rates}],
    )


def start(texts: Path) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """The peers' process, and their versions."""
    python = os.environ.get("BENCH_PEERS")
    if not python:
        raise SystemExit("Set BENCH_PEERS to the interpreter of an environment with datasketch, rensa and datatrove")
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
    process = subprocess.Popen(
        [python, "-c", PEER, str(texts), str(VALUES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **one},
    )
    return process, _line(process)


def ask(process: subprocess.Popen[str], line: str) -> float:
    assert process.stdin
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return float(_line(process))


def _line(process: subprocess.Popen[str]) -> Any:
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise SystemExit("the peers' process has died: try it by hand")
    return json.loads(line)


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
