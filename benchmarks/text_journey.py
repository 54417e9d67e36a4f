"""The corpus and tokens stages on 100 MB to 1 GB of real text: time a MB, and the memory of all processes.

Ray's start, the same for every size, is counted apart: it is the time of the smallest run's first event.
"""

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

from benchmarks import real_text
from benchmarks.claim import RESULTS, record
from cluster.memory import descendants, pss_bytes, shm_bytes
from pipeline.sections import Chart
from pipeline.views.render import lines

ROOT = Path(__file__).resolve().parent.parent
SIZES_MB = (100, 250, 500, 1050)
EXTRA = """[corpus.substring]
enabled = true
[corpus]
max_record_bytes = 4_000_000
"""


def journey(top: Path, size_mb: int) -> dict[str, Any]:
    """One run to the end of tokens."""
    made = real_text.sources(top / "text", size_mb * 1_000_000)
    size = sum(p.stat().st_size for folder in made.values() for p in folder.iterdir())
    (top / "text.toml").write_text(real_text.recipe(made, extra=EXTRA))
    out, start, peak, done = top / "run", time.monotonic(), 0, threading.Event()
    shm = shm_bytes()
    command = [sys.executable, "-m", "pipeline", "run", str(top / "text.toml"), "--out", str(out), "--until", "tokens"]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def sample() -> None:
        nonlocal peak
        while not done.wait(0.5):
            peak = max(peak, sum(pss_bytes(p) for p in descendants(child.pid)) + max(0, shm_bytes() - shm))

    sampler = threading.Thread(target=sample)
    sampler.start()
    said, _ = child.communicate()
    done.set()
    sampler.join()
    assert child.returncode == 0, said
    seconds = time.monotonic() - start
    stages = {name: json.loads((out / name / "manifest.json").read_text()) for name in ("corpus", "tokens")}
    return {
        "input_mb": round(size / 1e6, 1),
        "seconds": round(seconds, 1),
        "peak_gib": round(peak / 2**30, 3),
        "stages": {name: manifest["observed"]["seconds"] for name, manifest in stages.items()},
        "kept": stages["corpus"]["content"]["counts"]["kept"],
        "seconds_a_mb": round(seconds / size * 1e6, 4),
    }


def main() -> None:
    """Sizes from BENCH_SIZES_MB (comma separated), in BENCH_FOLDER or a temporary folder."""
    top = Path(os.environ.get("BENCH_FOLDER") or tempfile.mkdtemp())
    sizes = [int(n) for n in os.environ.get("BENCH_SIZES_MB", "").split(",") if n] or list(SIZES_MB)
    runs = []
    for size in sizes:
        runs.append(journey(top / str(size), size))
        print(json.dumps(runs[-1]), flush=True)
        shutil.rmtree(top / str(size))
    first, last = runs[0], runs[-1]
    small, large = (f"{run['input_mb']:,.0f} MB" for run in (first, last))
    peak = max(run["peak_gib"] for run in runs)
    what = f"corpus + tokens on {large} of real text: peak of all processes"
    record("text_memory", what, "GiB", peak, "at most 6 GiB", peak <= 6, runs=runs)
    growth = round(last["seconds_a_mb"] / first["seconds_a_mb"], 3)
    what = f"corpus + tokens: time a MB at {large} / at {small}"
    record("text_linear", what, "", growth, "no worse than linear: at most 1.0", growth <= 1.0, runs=runs)
    flat = round(last["peak_gib"] / first["peak_gib"], 3)
    what = f"corpus + tokens: peak memory at {large} / at {small}"
    record("text_flat", what, "", flat, "flat: at most 1.2", flat <= 1.2, runs=runs)
    plot(runs)


def plot(runs: list[dict[str, Any]]) -> None:
    """docs/text_journey.svg."""
    series = {
        "s for 100 MB": [(run["input_mb"], run["seconds_a_mb"] * 100) for run in runs],
        "peak GiB": [(run["input_mb"], run["peak_gib"]) for run in runs],
    }
    chart = Chart("Corpus and tokens on real text", series, x="MB of input", y="s for 100 MB, GiB")
    style = (Path(lines.__file__).parent / "style.css").read_text()  # the report's own: a picture alone brings it
    head = f'xmlns="http://www.w3.org/2000/svg" style="background:#fff"><style>{style}</style>'
    drawn = lines.draw(chart, 640, 300, "chart").replace(">", f" {head}", 1)
    (RESULTS.parent.parent / "docs" / "text_journey.svg").write_text(drawn + "\n")


if __name__ == "__main__":
    main()
