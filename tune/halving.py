"""Synchronous successive halving (Jamieson and Talwalkar 2016, arXiv 1502.07943): which trials go on. Pure.

Every trial of a rung is finished before one is chosen, so the decision does not depend on who was fast.
"""

import math
from collections.abc import Mapping


def ranking(losses: Mapping[int, float]) -> list[int]:
    """Trial ids from best to worst: smallest loss first, ties by id, losses that are not finite last."""
    return sorted(losses, key=lambda i: (not math.isfinite(losses[i]), losses[i] if math.isfinite(losses[i]) else 0, i))


def rung_sizes(trials: int, rungs: int, reduction: int) -> list[int]:
    """How many trials each rung runs."""
    sizes = [trials]
    while len(sizes) < rungs:
        sizes.append(max(1, math.ceil(sizes[-1] / reduction)))
    return sizes


def survivors(losses: Mapping[int, float], reduction: int) -> list[int]:
    """The best ``1 / reduction`` of a rung, at least one, in order of id."""
    keep = max(1, math.ceil(len(losses) / reduction))
    return sorted(ranking(losses)[:keep])
