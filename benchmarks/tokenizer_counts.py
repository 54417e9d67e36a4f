"""A tokeniser from counted words beside the library's training from text: the same file, in what time and memory.

Each side is a process of its own with one thread, interleaved: it reads the same text a line at a time, and says its
seconds, the memory that it needed, and the digest of the tokenizer.json that it made. BENCH_TEXT names the folder of
text, BENCH_MB how much of it is taken.
"""

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import real_text
from benchmarks.claim import record

ROUNDS, VOCABULARY = 3, 32_000
SIDES = ("counts", "library")
DOCUMENT_BYTES = 1_000_000  # a longer text is cut


def main() -> None:
    """Medians over rounds; the value is the library's time over ours."""
    megabytes = float(os.environ.get("BENCH_MB", "100"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for one in real_text.chosen(int(megabytes * 1e6)):
                file.write(json.dumps(one.read_bytes()[:DOCUMENT_BYTES].decode("utf-8", "replace")) + "\n")
        found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
        for _ in range(ROUNDS):
            for side in SIDES:
                found[side].append(_run(side, path))
    ours, theirs = ({n: statistics.median(r[n] for r in found[s]) for n in ("seconds", "mb")} for s in SIDES)
    ratios = [b["seconds"] / a["seconds"] for a, b in zip(found["counts"], found["library"], strict=True)]
    equal = len({run["digest"] for runs in found.values() for run in runs}) == 1
    value = round(statistics.median(ratios), 2)
    record(
        "tokenizer_counts",
        f"tokenizers' training from {megabytes:g} MB of text / ours from counted words, {VOCABULARY:,} ids, one thread",
        "times as long",
        value,
        "the same tokenizer.json, and at least 1",
        equal and value >= 1,
        runs=[{"ratios": ratios, "equal": equal, "counts": ours, "library": theirs, **_facts(found["counts"][0])}],
        peers={"tokenizers": {"value": round(theirs["seconds"], 2), "version": found["library"][0]["version"]}},
    )


def _facts(run: dict[str, Any]) -> dict[str, Any]:
    return {name: run[name] for name in ("words", "counting_s", "training_s")}


def _run(side: str, path: Path) -> dict[str, Any]:
    env = {**os.environ, "RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-m", "benchmarks.tokenizer_counts", side, str(path)]
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def side(name: str, path: Path) -> None:
    """One side, in a process of its own."""
    import tokenizers

    from models.kinds import bytes as byte_level
    from models.tokenizer import Tokenizer
    from models.words import Counting, Words

    texts = (json.loads(line) for line in path.open(encoding="utf-8"))
    before, start, facts = _memory("VmRSS"), time.perf_counter(), dict[str, Any]()
    if name == "library":
        made = Tokenizer.train(texts, VOCABULARY)
    else:
        counting = Counting()
        counting.add(texts)
        words = Words.of(counting.take())
        counted = time.perf_counter()
        made = Tokenizer(byte_level.build(words, VOCABULARY))
        facts = {"words": len(words.texts), "counting_s": counted - start, "training_s": time.perf_counter() - counted}
    facts |= {
        "seconds": time.perf_counter() - start,
        "mb": _memory("VmHWM") - before,
        "version": tokenizers.__version__,
    }
    print(json.dumps({**facts, "digest": hashlib.sha256(made.to_json().encode()).hexdigest()}))


def _memory(field: str) -> float:
    """MB of this process, now (VmRSS) or at most (VmHWM)."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[field].split()[0]) / 1000


if __name__ == "__main__":
    if len(sys.argv) > 1:
        side(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
