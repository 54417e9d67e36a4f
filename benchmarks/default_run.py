"""The default run from beginning to end: time, memory, what it learns, and that running again does nothing."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.claim import record
from cluster.memory import descendants, pss_bytes, shm_bytes

ROOT = Path(__file__).resolve().parent.parent


def run(out: Path, *more: str) -> dict[str, Any]:
    """``firstlight run tiny`` in a process of its own: seconds, exit code, peak memory, output."""
    start, peak, done = time.monotonic(), 0, threading.Event()
    shm = shm_bytes()
    command = [sys.executable, "-m", "pipeline", "run", "tiny", "--out", str(out), *more]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def sample() -> None:
        nonlocal peak
        while not done.wait(1.0):
            private = sum(pss_bytes(p) for p in descendants(child.pid))
            peak = max(peak, private + max(0, shm_bytes() - shm))

    sampler = threading.Thread(target=sample)
    sampler.start()
    output, _ = child.communicate()
    done.set()
    sampler.join()
    return {"seconds": time.monotonic() - start, "exit": child.returncode, "peak_bytes": peak, "output": output}


def main() -> None:
    """Measure in ``BENCH_RUN`` (kept) or in a temporary folder."""
    kept = os.environ.get("BENCH_RUN")
    out = Path(kept) if kept else Path(tempfile.mkdtemp()) / "run"
    first = run(out)
    print(first["output"], file=sys.stderr)
    assert first["exit"] == 0, "the default run failed"
    again = run(out)
    seconds, gib = round(first["seconds"], 1), round(first["peak_bytes"] / 2**30, 2)
    record("default_run_time", "default run, after installation", "s", seconds, "at most 600 s", seconds <= 600)
    record("default_run_memory", "peak of all processes (PSS and /dev/shm)", "GiB", gib, "at most 6 GiB", gib <= 6)
    noop = round(again["seconds"], 1)
    record("run_again", "running again", "s", noop, "a few seconds", noop <= 10)
    _learns(out)
    if not kept:
        shutil.rmtree(out.parent)


def _learns(out: Path) -> None:
    text = json.loads((out / "evaluate/pretrain/results.json").read_text())["text"]["total"]
    ratio = text["bits_per_byte"] / text["xz_bits_per_byte"]
    record(
        "bits_per_byte",
        "held-out bits a byte after pretraining / those of xz -9e on the same bytes",
        "",
        round(ratio, 3),
        "at most 1.10; below 1.0 is the aim",
        ratio <= 1.10,
        peers={"xz -9e": {"value": text["xz_bits_per_byte"], "version": "liblzma of Python"}},
        runs=[text],
    )
    rlhf = json.loads((out / "rlhf/heldout.json").read_text())
    gain = rlhf["after"]["reward"] - rlhf["before"]["reward"]
    record(
        "rlhf_gain",
        "RLHF: gain of reward on held-out prompts",
        "",
        round(gain, 3),
        "above 0, with the mean KL a reply at most 10 nats",
        gain > 0 and rlhf["after"]["kl"] <= 10,
        runs=[rlhf],
    )


if __name__ == "__main__":
    main()
