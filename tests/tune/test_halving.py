"""Halving goes by loss and id, never by who was fast."""

import math

import pytest

from tune.halving import ranking, rung_sizes, survivors
from tune.space import grid


def test_a_grid_is_the_product_in_a_stable_order() -> None:
    trials = grid({"lr": [1, 2, 3], "batch": ["a", "b"]})
    assert [t.id for t in trials] == list(range(6))
    assert dict(trials[3].values) == {"lr": 2, "batch": "b"}


@pytest.mark.parametrize(
    ("losses", "reduction", "kept"),
    [
        ({0: 3.0, 1: 1.0, 2: 2.0}, 3, [1]),
        ({0: 3.0, 1: 1.0, 2: 2.0}, 2, [1, 2]),
        ({5: 1.0, 2: 1.0, 9: 1.0}, 3, [2]),
        ({0: math.nan, 1: 9.0, 2: math.inf}, 3, [1]),
        ({0: math.nan}, 3, [0]),
        ({i: float(-i) for i in range(9)}, 3, [6, 7, 8]),
    ],
)
def test_the_best_go_on(losses: dict[int, float], reduction: int, kept: list[int]) -> None:
    assert survivors(losses, reduction) == kept
    assert survivors(dict(reversed(losses.items())), reduction) == kept


def test_losses_that_are_not_finite_come_last() -> None:
    assert ranking({0: math.nan, 1: 2.0, 2: -math.inf, 3: 1.0}) == [3, 1, 0, 2]


@pytest.mark.parametrize(("trials", "sizes"), [(9, [9, 3, 1]), (4, [4, 2, 1]), (1, [1, 1, 1])])
def test_rungs_shrink_to_one(trials: int, sizes: list[int]) -> None:
    found = rung_sizes(trials, 3, 3)
    assert found == sizes
    assert len(survivors(dict.fromkeys(range(trials), 1.0), 3)) == found[1]
