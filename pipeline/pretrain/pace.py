"""How fast each step was, against what the same threads can do at most. Knows no replica.

Utilisation is model FLOPs (`GPTConfig.flops_per_token`; PaLM, arXiv 2204.02311, appendix B) over what one process
reaches in a large matrix product of the same numbers, measured once: a CPU's data sheet does not say it.
"""

import os
import time
from pathlib import Path
from typing import Any

import torch

from pipeline.pretrain.steplog import StepLog

WRITE_EVERY_S = 2.0
SIZE = 1024  # of the square product: large enough for the best rate, 0.03 s at 70 GFLOP/s
ROUNDS = 8


def gemm_peak(precision: str = "fp32") -> float:
    """FLOP/s of the best of some square products, in the threads that are set."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(SIZE, SIZE, generator=generator).to(dtype) for _ in range(2))
    out = a @ b  # the first product starts the library's threads
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        torch.mm(a, b, out=out)
        best = min(best, time.perf_counter() - start)
    return 2.0 * SIZE**3 / best


def memory_bytes() -> int:
    """Resident memory of this process; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def peak_bytes() -> int:
    """The most resident memory that this program had so far; ru_maxrss would hold that of the one that started it."""
    try:
        return 1024 * int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
    except (OSError, IndexError):
        return 0


class Pace:
    """Measures the steps of one replica, from the end of one to the end of the next: all that lies between counts.

    The FLOPs of a replica are shared out over its workers, each of which reaches the peak measured here.
    """

    def __init__(self, log: StepLog, precision: str = "fp32", workers: int = 1) -> None:
        self._log, self.peak = log, gemm_peak(precision) * workers
        self._last = self._written = time.perf_counter()
        self._before: dict[str, float] = {}

    def mark(self, line: dict[str, Any], members: int, first: bool, flops: float, clocks: dict[str, float]) -> None:
        """A step is committed: its line of history, its training FLOPs (0: not known), and clocks that add up.

        Only the first member keeps the line, so that a step has one.
        """
        now = time.perf_counter()
        took, self._last = now - self._last, now
        spent = {name: total - self._before.get(name, 0.0) for name, total in clocks.items()}
        self._before = dict(clocks)
        if first:
            measured = {"seconds": took, "members": members, "memory_bytes": memory_bytes(), **spent}
            if flops:
                measured["mfu"] = flops / took / members / self.peak
            self._log.add({**line, **measured})
        if now - self._written > WRITE_EVERY_S:
            self.write(now)

    def write(self, now: float = 0.0) -> None:
        """Bring what was measured to the disk."""
        self._written = now
        self._log.write()
