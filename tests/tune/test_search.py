"""Ray Tune runs the trials; the decisions are those of the plain function."""

from pathlib import Path

import pytest

from tune.search import successive_halving
from tune.space import Trial, grid


def parabola(trial: Trial, rung: int, budget: int) -> float:
    """Smallest at x = 3; more budget, less loss."""
    return float((trial.values["x"] - 3) ** 2 + 1 / budget)


@pytest.mark.ray
@pytest.mark.usefixtures("ray_session")
def test_two_rungs_find_the_minimum_of_a_parabola(tmp_path: Path) -> None:
    told = []
    rungs = successive_halving(
        parabola,
        grid({"x": [0, 1, 2, 3, 4, 5]}),
        [10, 100],
        reduction=3,
        concurrent=2,
        scratch=str(tmp_path),
        cpus=0.5,
        told=lambda rung, trial, loss: told.append((rung, trial)),
    )
    assert rungs[0].losses == {i: (i - 3) ** 2 + 0.1 for i in range(6)}
    assert rungs[0].survivors == [2, 3]
    assert rungs[1].survivors == [3]
    assert sorted(told) == [(0, i) for i in range(6)] + [(1, 2), (1, 3)]


def broken(trial: Trial, rung: int, budget: int) -> float:
    raise ValueError(f"trial {trial.id} cannot be")


@pytest.mark.ray
@pytest.mark.usefixtures("ray_session")
def test_a_trial_that_raises_ends_the_search(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="rung 0 failed"):
        successive_halving(
            broken, grid({"x": [0]}), [1], reduction=2, concurrent=1, scratch=str(tmp_path), cpus=0.5, retries=0
        )
