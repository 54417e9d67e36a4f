"""The bubble of a pipeline: the share of time that filling and draining take, measured beside (p - 1) / (v m + p - 1).

Two workers of one thread. A worker that waits uses no processor, so what is measured is 1 - its thread's time / the
time on the clock, the mean of both. Schedules and numbers of passes take turns in each round.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from benchmarks.claim import record
from models.config import GPTConfig
from models.layout_config import Layout
from models.parallel.mesh import make_place
from models.parallel.pipeline import bubble
from models.parallel.run import build

ROUNDS, WORKERS, ROWS, PASSES = 7, 2, 4, (2, 4, 8, 16)
SCHEDULES: dict[str, dict[str, Any]] = {
    "gpipe": {"schedule": "gpipe"},
    "1f1b": {"schedule": "1f1b"},
    "interleaved": {"schedule": "interleaved", "interleave": 2},
}
# a small vocabulary, so that the last stage's output head does not make it the slower one
SHAPE = GPTConfig(vocab_size=64, context=128, layers=8, width=128, heads=4, hidden=352)


def main() -> None:
    """The largest difference, over all schedules and numbers of passes, between what is measured and the formula."""
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(_worker, (folder,), nprocs=WORKERS)  # type: ignore[no-untyped-call]
        times = torch.load(Path(folder, "times"), weights_only=False)
    runs = []
    for name, how in SCHEDULES.items():
        for m in PASSES:
            formula = bubble(Layout(pipeline=WORKERS, micro_batches=m, **how))
            measured = statistics.median(times[name, m])
            runs.append({"schedule": name, "passes": m, "measured": round(measured, 3), "formula": round(formula, 3)})
    value = round(max(abs(run["measured"] - run["formula"]) for run in runs), 3)
    what = "bubble of a pipeline of two: largest difference, measured share of time - formula"
    record("bubble", what, "", value, "at most 0.1", value <= 0.1, runs=runs)


def _worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=WORKERS)
    replicas = {
        (name, m): build(SHAPE, make_place(Layout(pipeline=WORKERS, micro_batches=m, **how)), 1)
        for name, how in SCHEDULES.items()
        for m in PASSES
    }
    times: dict[tuple[str, int], list[float]] = {key: [] for key in replicas}
    for turn in range(ROUNDS + 1):
        for (name, m), replica in replicas.items():
            tokens = torch.randint(0, 64, (ROWS * m, 129), generator=torch.Generator().manual_seed(turn))
            dist.barrier()
            start, used = time.perf_counter(), time.thread_time()
            replica.train(tokens[:, :-1], tokens[:, 1:])
            busy = torch.tensor(time.thread_time() - used)
            dist.all_reduce(busy)
            if turn:  # the first one makes buffers and connections
                times[name, m].append(1 - float(busy) / WORKERS / (time.perf_counter() - start))
            for part in replica.parts.values():
                part.held.grad = None
    if rank == 0:
        torch.save(times, Path(folder, "times"))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
