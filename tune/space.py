"""A search space as a list of trials with stable ids. Knows no Ray and no model."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Trial:
    """One point of the space. The id is its place in the grid: decisions and names go by it, never by time."""

    id: int
    values: Mapping[str, Any]


def grid(axes: Mapping[str, Sequence[Any]]) -> list[Trial]:
    """The full product of the axes, the last axis fastest."""
    points = itertools.product(*axes.values())
    return [Trial(i, dict(zip(axes, point, strict=True))) for i, point in enumerate(points)]
