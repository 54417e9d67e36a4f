"""Kills, real ones: a training worker, and the driver in three stages; the digests must be those of the calm run."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.claim import record

ROOT = Path(__file__).resolve().parent.parent
SMALL = ("pretrain.tokens=400000", "search.rungs=[8192, 16384]", "finetune.tokens=32768", "rlhf.iterations=20")


def command(out: Path) -> list[str]:
    sets = [word for text in SMALL for word in ("--set", text)]
    return [sys.executable, "-m", "pipeline", "run", "tiny", "--out", str(out), *sets]


def start(out: Path) -> subprocess.Popen[bytes]:
    log = open(out.parent / f"{out.name}.log", "ab")
    return subprocess.Popen(command(out), cwd=ROOT, stdout=log, stderr=log)


def digests(out: Path) -> list[str]:
    found = subprocess.run(
        [sys.executable, "-m", "pipeline", "verify", str(out)], cwd=ROOT, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout
    return found.stdout.splitlines()


def wait_for(path: Path, child: subprocess.Popen[bytes], test: Any = lambda text: True) -> None:
    """Wait until a file of the run holds what a test asks for."""
    while True:
        if path.exists() and test(path.read_text()):
            return
        assert child.poll() is None, f"the run ended before {path} was there"
        time.sleep(0.1)


def kill_worker(out: Path) -> dict[str, Any]:
    """Kill -9 replica 1 in the middle of pretraining; the driver is not touched."""
    child = start(out)
    said = out / "pretrain" / "timing" / "replica-1.json"
    wait_for(said, child, lambda text: json.loads(text)["step"] >= 20)
    os.kill(json.loads(said.read_text())["pid"], signal.SIGKILL)
    assert child.wait() == 0
    events = [json.loads(line) for path in sorted((out / "events").iterdir()) for line in path.read_text().splitlines()]
    faults = [e for e in events if e["kind"] == "fault"]
    return {"redone": sum(e.get("times", 0) for e in faults), "faults": faults}


def kill_driver(out: Path, moments: list[str]) -> list[str]:
    """Kill -9 the driver once in each stage, a while after its first piece; then let it end. The stages hit."""
    kills, pause = [], random.Random(1)
    for stage in moments:
        child = start(out)
        folder = out / stage
        while not folder.exists() and child.poll() is None:
            time.sleep(0.05)
        time.sleep(pause.uniform(0.5, 6))
        if child.poll() is None:
            child.kill()
            kills.append(stage)
        child.wait()
    child = start(out)
    assert child.wait() == 0
    return kills


def main() -> None:
    """Three runs: calm, a killed worker, killed drivers. Set BENCH_FOLDER to a new folder to keep them."""
    top = Path(os.environ.get("BENCH_FOLDER") or tempfile.mkdtemp())
    top.mkdir(parents=True, exist_ok=True)
    assert start(top / "calm").wait() == 0, (top / "calm.log").read_text()
    calm = digests(top / "calm")
    worker = kill_worker(top / "worker")
    same = digests(top / "worker") == calm
    what = "kill -9 of a training worker: steps redone, same digests"
    record("killed_worker", what, "steps", worker["redone"], "at most 1", same and worker["redone"] <= 1, runs=[worker])
    stages = ["corpus/.pieces", "search/trials", "pretrain/timing", "rlhf/.pieces"]
    kills = kill_driver(top / "driver", stages)
    same = digests(top / "driver") == calm and kills == stages
    what = "kill -9 of the driver in four stages: kills that left the digests as undisturbed"
    record("killed_driver", what, "kills", len(kills) if same else 0, "4", same, runs=[kills, calm])
    if not os.environ.get("BENCH_FOLDER"):
        shutil.rmtree(top)


if __name__ == "__main__":
    main()
