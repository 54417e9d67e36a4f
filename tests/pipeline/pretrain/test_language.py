"""The language task: every window of the plan once, cut over shards, and a held-out probe at stated steps."""

from pathlib import Path

import pytest
import torch

from cluster.errors import UserError
from models.optim_config import OptimConfig
from pipeline.pretrain.language import LanguageTask, heldout_windows, make_task
from tests.support import streams
from tests.support.toy import SHAPE


def task(run: Path, shards: int = 4, tokens: int = 16 * 40, points: int = 3) -> LanguageTask:
    streams.write(run, {"a": 1601, "b": 401}, {"a": 200, "b": 100, "c": 5})
    return make_task(
        str(run),
        model=SHAPE.model_dump(),
        optim=OptimConfig(peak_lr=1e-3).model_dump(),
        tokens=tokens,
        batch=((0.0, 4), (0.5, 8)),
        shards=shards,
        seed=5,
        curve_points=points,
        curve_windows=6,
    )


def test_shards_cut_a_step_and_steps_cut_the_plan(tmp_path: Path) -> None:
    made = task(tmp_path)
    seen = [row for step in range(made.steps) for g in range(4) for row in made.shard(step, g).tolist()]
    assert len(seen) == made.plan.total_sequences
    assert len({tuple(row) for row in seen}) <= len(seen)
    assert all(len(row) == SHAPE.context + 1 for row in seen)
    assert made.tokens(made.steps) == len(seen) * SHAPE.context


def test_a_step_holds_the_same_windows_for_any_number_of_shards(tmp_path: Path) -> None:
    two, four = task(tmp_path, 2), task(tmp_path, 4)
    for step in range(two.steps):
        whole = torch.cat([two.shard(step, g) for g in range(2)])
        assert torch.equal(whole, torch.cat([four.shard(step, g) for g in range(4)]))


def test_the_mixture_follows_the_lengths(tmp_path: Path) -> None:
    got = task(tmp_path, tokens=16 * 100).order.got()
    assert got["a"]["got"] == pytest.approx(0.8, abs=0.02)


def test_the_probe_is_asked_at_spread_steps_the_last_among_them(tmp_path: Path) -> None:
    made = task(tmp_path)
    asked = [step for step in range(made.steps) if made.probe(step, 0) is not None]
    assert len(asked) == 3
    assert asked[-1] == made.steps - 1
    windows = torch.cat([w for g in range(4) if (w := made.probe(asked[0], g)) is not None])
    assert windows.shape == (6, SHAPE.context + 1)


def test_heldout_windows_take_the_sources_in_turn_and_never_the_training_text(tmp_path: Path) -> None:
    folder = streams.write(tmp_path, {"a": 500}, {"a": 200, "b": 100, "c": 5})
    found = heldout_windows(folder, 16, 6, seed=5)
    assert len({tuple(row) for row in found.tolist()}) == 6
    few = heldout_windows(folder, 16, 100, seed=5)
    assert len(few) == (200 - 1) // 16 + (100 - 1) // 16


def test_too_little_heldout_text_is_a_told_error(tmp_path: Path) -> None:
    folder = streams.write(tmp_path, {"a": 500}, {"a": 10})
    with pytest.raises(UserError, match="Hold out more documents"):
        heldout_windows(folder, 16, 6, seed=5)
