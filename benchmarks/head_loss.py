"""The output head with its loss in chunks beside F.cross_entropy on whole logits: forward and backward, interleaved."""

import multiprocessing
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.claim import record
from models.losses import linear_cross_entropy

ROUNDS = 15
SHAPES = ((2048, 128, 4096), (1024, 768, 50257))  # (tokens, width, vocabulary): the tiny recipe's shard, GPT-2's head


def main() -> None:
    """Ratio of medians, one thread, at the tiny recipe's shape; GPT-2's, and the memory of both, beside it."""
    torch.set_num_threads(1)
    runs = []
    for shape in SHAPES:
        rounds = ROUNDS if shape is SHAPES[0] else 3
        hidden, weight, targets = inputs(shape)
        seconds: dict[str, list[float]] = {name: [] for name in WAYS}
        for _ in range(rounds):
            for name, way in WAYS.items():
                start = time.perf_counter()
                way(hidden, weight, targets).backward()  # type: ignore[no-untyped-call]
                seconds[name].append(time.perf_counter() - start)
                hidden.grad = weight.grad = None
        ratio = statistics.median(a / b for a, b in zip(seconds["whole"], seconds["chunks"], strict=True))
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            peaks = pool.starmap(peak_mb, [(name, shape) for name in WAYS], chunksize=1)
        times = {name: round(statistics.median(found) * 1e3, 1) for name, found in seconds.items()}
        runs.append({"shape": shape, "ratio": round(ratio, 3), "ms": times, "mb": dict(zip(WAYS, peaks, strict=True))})
    value = float(str(runs[0]["ratio"]))
    what = "speed of the head's loss in chunks / F.cross_entropy on whole logits [2048 x 128 x 4096]"
    record("head_loss", what, "", value, "at least 1", value >= 1, runs=runs)


def inputs(shape: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """(hidden, weight, targets)."""
    rows, width, vocabulary = shape
    hidden, weight = torch.randn(rows, width), torch.randn(vocabulary, width) * 0.05
    return hidden.requires_grad_(), weight.requires_grad_(), torch.randint(0, vocabulary, (rows,))


def whole(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(hidden, weight), targets, reduction="sum")


def chunks(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    return linear_cross_entropy(hidden, weight, targets)[0]


WAYS = {"whole": whole, "chunks": chunks}


def peak_mb(name: str, shape: tuple[int, int, int]) -> int:
    """Megabytes that a process of its own grows by at its peak, from before the loss until after the backward pass."""
    torch.set_num_threads(1)
    given = inputs(shape)
    before = memory_kb("VmRSS")
    WAYS[name](*given).backward()  # type: ignore[no-untyped-call]
    return (memory_kb("VmHWM") - before) // 1024


def memory_kb(kind: str) -> int:
    """VmRSS now, or VmHWM at the peak; getrusage keeps the peak of the process that this one was forked from."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{kind}:")[1].split()[0])


if __name__ == "__main__":
    main()
