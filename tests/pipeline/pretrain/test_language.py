"""The language task: every window of the plan once, cut over shards, and a held-out probe at stated steps."""

from pathlib import Path
from typing import Any

import pytest
import torch

from cluster.errors import ConfigError, UserError
from models.optim_config import OptimConfig
from models.tokenizer import Tokenizer
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


def changed(run: Path, batch: object = ((0.0, 4), (0.5, 8)), **pretrain: Any) -> LanguageTask:
    streams.write(run, {"a": 1601, "b": 401}, {"a": 200, "b": 100, "c": 5})
    return make_task(
        str(run),
        model=SHAPE.model_dump(),
        optim=OptimConfig(peak_lr=1e-3).model_dump(),
        tokens=16 * 40,
        batch=batch,  # type: ignore[arg-type]
        shards=2,
        seed=5,
        pretrain=pretrain,
    )


def test_a_context_ramp_cuts_the_same_windows_shorter(tmp_path: Path) -> None:
    plain, ramp = changed(tmp_path), changed(tmp_path, context_ramp=[[0.0, 4], [0.4, 8], [0.7, 16]])
    lengths = []
    for step in range(plain.steps):
        whole, cut = plain.shard(step, 0), ramp.shard(step, 0)
        lengths.append(cut.shape[1] - 1)
        assert torch.equal(cut[:, :-1].flatten(), whole[:, :-1].flatten())
        assert torch.equal(cut[:, 1:].flatten(), whole[:, 1:].flatten())
        assert ramp.tokens(step + 1) == plain.tokens(step + 1)
    assert lengths == sorted(lengths) and set(lengths) == {4, 8, 16}
    assert ramp.flops(0) < plain.flops(0)


def test_a_context_that_does_not_divide_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"pretrain\.context_ramp"):
        changed(tmp_path, context_ramp=[[0.0, 5]])


def test_micro_batches_are_whole_windows_whatever_their_length(tmp_path: Path) -> None:
    task = changed(tmp_path, ((0.0, 6),), micro_batch=2, context_ramp=[[0.0, 8], [0.5, 16]])
    first, last = task.parts(task.shard(0, 0)), task.parts(task.shard(task.steps - 1, 0))
    assert [part.shape for part in first] == [(4, 9), (2, 9)]
    assert [part.shape for part in last] == [(2, 17), (1, 17)]
    assert torch.equal(torch.cat(list(first)), task.shard(0, 0))
    assert len(changed(tmp_path).parts(task.shard(0, 0))) == 1


def test_reading_ahead_gives_the_batches_of_the_order(tmp_path: Path) -> None:
    """Forwards what is asked for was read ahead; backwards it never was."""
    task, other = changed(tmp_path), changed(tmp_path)
    forward = {(step, g): task.shard(step, g) for step in range(task.steps) for g in range(2)}
    for (step, g), batch in reversed(forward.items()):
        assert torch.equal(other.shard(step, g), batch)
        assert torch.equal(task.shard(step, g), batch)


def test_hidden_tokens_are_the_same_in_every_worker_and_targets_whole(tmp_path: Path) -> None:
    folder = streams.write(tmp_path, {"a": 1601, "b": 401}, {"a": 200, "b": 100, "c": 5})
    folder.write_bytes("tokenizer.json", Tokenizer.train(["text"], 260).to_json().encode())
    plain, task, again = changed(tmp_path), *(changed(tmp_path, token_dropout=0.3) for _ in range(2))
    one, two = task.shard(3, 1), again.shard(3, 1)
    assert torch.equal(one, two) and bool((one < 0).any())
    inputs, targets = task.pair(one)
    assert torch.equal(targets, plain.shard(3, 1)[:, 1:])
    assert not torch.equal(inputs, plain.shard(3, 1)[:, :-1])


def test_keys_of_dropout_differ_by_seed_step_and_shard(tmp_path: Path) -> None:
    task, again = changed(tmp_path), changed(tmp_path)
    keys = [task.key(step, g) for step in range(10) for g in range(4)]
    assert len(set(keys)) == 40 and keys == [again.key(step, g) for step in range(10) for g in range(4)]


def test_a_micro_batch_that_no_driver_found_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="micro_batch"):
        changed(tmp_path, micro_batch="auto")
