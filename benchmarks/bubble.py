"""The bubble of a pipeline: the share of time that filling and draining take, measured beside (p - 1) / (v m + p - 1).

Two workers of one thread. A worker computes, queues for a core (gloo's own threads want the same two) or idles: it
sleeps until a message comes. Linux counts the first two for each thread; the rest of a step is idle. The formula takes
all stages to be equally long, but the last one has the head and the loss. So the bubble is what the worker that
computes most idles, messages included, and what the others idle beyond it is told apart as `uneven`. Schedules and
numbers of passes take turns in each round.
"""

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
    runs: list[dict[str, Any]] = []
    for name, how in SCHEDULES.items():
        for m in PASSES:
            formula = bubble(Layout(pipeline=WORKERS, micro_batches=m, **how))
            runs.append({"schedule": name, "passes": m, **shares(times[name, m]), "formula": round(formula, 3)})
    value = round(max(abs(run["measured"] - run["formula"]) for run in runs), 3)
    what = "bubble of a pipeline of two: largest difference, idle share of the busiest worker - formula"
    record("bubble", what, "", value, "at most 0.1", value <= 0.1, runs=runs)


def shares(rounds: list[torch.Tensor]) -> dict[str, float]:
    """What became of the time. Each round is [workers, 4]: start and end on the clock, computing and queueing in s."""
    start, end, computing, queueing = torch.stack(rounds).unbind(-1)
    step = end.amax(1) - start.amin(1)
    computing, queueing = computing / step[:, None], queueing / step[:, None]
    idle = (1 - computing - queueing).quantile(0.5, 0)
    own = idle[computing.quantile(0.5, 0).argmax()]
    found = {"measured": own, "uneven": idle.mean() - own, "queueing": queueing.quantile(0.5, 0).mean()}
    return {name: round(float(share), 3) for name, share in found.items()}


def _worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=WORKERS)
    replicas = {
        (name, m): build(SHAPE, make_place(Layout(pipeline=WORKERS, micro_batches=m, **how)), 1)
        for name, how in SCHEDULES.items()
        for m in PASSES
    }
    times: dict[tuple[str, int], list[torch.Tensor]] = {key: [] for key in replicas}
    for turn in range(ROUNDS + 1):
        for (name, m), replica in replicas.items():
            tokens = torch.randint(0, 64, (ROWS * m, 129), generator=torch.Generator().manual_seed(turn))
            dist.barrier()
            before = _clocks()
            replica.train(tokens[:, :-1], tokens[:, 1:])
            after = _clocks()
            said = [torch.empty(4, dtype=torch.float64) for _ in range(WORKERS)]
            dist.all_gather(said, torch.cat([before[:1], after[:1], (after - before)[1:]]))
            if turn:  # the first one makes buffers and connections
                times[name, m].append(torch.stack(said))
            for part in replica.parts.values():
                part.held.grad = None
    if rank == 0:
        torch.save(times, Path(folder, "times"))
    dist.destroy_process_group()


def _clocks() -> torch.Tensor:
    """[3] s: the host's clock, and how long this thread has computed and has queued for a core so far."""
    queued = int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    return torch.tensor([time.perf_counter(), time.thread_time(), queued], dtype=torch.float64)


if __name__ == "__main__":
    main()
