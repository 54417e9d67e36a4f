"""A packed row is the same as its sequences alone."""

import numpy as np
import pytest
import torch

from models.chat import Turn, render
from models.config import GPTConfig
from models.gpt import GPT, init_weights
from models.losses import IGNORE
from models.tokenizer import Tokenizer
from pipeline.finetune import packing
from pipeline.finetune.packing import SEGMENTS, TARGETS, Piece
from pipeline.finetune.sft import Batch, loss

CONTEXT = 24


def some(lengths: list[int], seed: int = 0) -> list[Piece]:
    draw = np.random.default_rng(seed)
    return [Piece(tuple(draw.integers(4, 60, n).tolist()), tuple((draw.random(n) < 0.6).tolist())) for n in lengths]


@pytest.fixture(scope="module")
def model() -> GPT:
    made = GPT(GPTConfig(vocab_size=64, context=CONTEXT, layers=2, width=16, heads=2, hidden=32))
    init_weights(made, 1)
    return made


def test_best_fit_fills_the_fullest_bin_that_has_room() -> None:
    assert packing.best_fit([6, 4, 3, 5, 2], 10) == [[0, 1], [3, 2, 4]]
    assert packing.best_fit([4, 4], 10) == [[0, 1]]
    with pytest.raises(AssertionError):
        packing.best_fit([11], 10)


def test_every_token_is_packed_once() -> None:
    sequences = some([5, 9, 24, 3, 12, 7, 2])
    rows = packing.pack(sequences, CONTEXT, pad_id=0)
    counted = sorted(rows[:, TARGETS][rows[:, TARGETS] != IGNORE].tolist())
    expected = sorted(i for s in sequences for i, m in zip(s.ids[1:], s.mask[1:], strict=True) if m)
    assert counted == expected
    assert (rows[:, SEGMENTS] > 0).sum() == sum(s.slots for s in sequences)
    np.testing.assert_array_equal(packing.from_bytes(packing.to_bytes(rows)), rows)


def test_packed_logits_are_those_of_each_sequence_alone(model: GPT) -> None:
    sequences = some([5, 9, 3, 7, 12])
    rows = packing.pack(sequences, CONTEXT, pad_id=0)
    batch = Batch.of(rows)
    packed = model(batch.tokens, batch.positions, batch.segments)
    seen = 0
    for row in range(len(rows)):
        for segment in range(1, int(batch.segments[row].max()) + 1):
            place = batch.segments[row] == segment
            alone = model(batch.tokens[row][place][None])
            torch.testing.assert_close(packed[row][place], alone[0], atol=1e-5, rtol=1e-5)
            seen += 1
    assert seen == len(sequences)


def test_packed_loss_and_gradient_are_those_of_the_sequences(model: GPT) -> None:
    sequences = some([5, 9, 3, 7, 12], seed=4)

    def gradient(groups: list[list[Piece]]) -> tuple[float, float, torch.Tensor]:
        model.zero_grad()
        total = weight = 0.0
        for group in groups:
            part, counted = loss(model, Batch.of(packing.pack(group, CONTEXT, pad_id=0)))
            part.backward()  # type: ignore[no-untyped-call]
            total, weight = total + float(part.detach()), weight + float(counted)
        return total, weight, torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    together, apart = gradient([sequences]), gradient([[s] for s in sequences])
    assert together[0] == pytest.approx(apart[0], rel=1e-5)
    assert together[1] == apart[1]
    torch.testing.assert_close(together[2], apart[2], atol=1e-5, rtol=1e-4)


def test_only_the_assistant_is_learnt_from_and_its_end_is(model: GPT) -> None:
    tokenizer = Tokenizer.train(["hello there you"], 300)
    turns = [Turn("user", "hello there"), Turn("assistant", "you"), Turn("user", "hello"), Turn("assistant", "there")]
    found, too_long = packing.pieces(tokenizer, turns, 64)
    assert too_long == 0 and len(found) == 1
    rows = packing.pack(found, 64, tokenizer.pad_id)
    ids, mask = render(tokenizer, turns)
    targets = rows[0, TARGETS][: len(ids) - 1]
    assert [t for t in targets.tolist() if t != IGNORE] == [i for i, m in zip(ids, mask, strict=True) if m]
    assert targets.tolist().count(tokenizer.end_id) == 2
    assert tokenizer.user_id not in targets
    everything = packing.pack(found, 64, tokenizer.pad_id, mask_prompts=False)
    assert (everything[0, TARGETS] != IGNORE).sum() == len(ids) - 1


@torch.no_grad()
def test_a_masked_target_may_be_anything(model: GPT) -> None:
    mask = (False, True, True, False, False)
    one, other = ((5, 6, 7, 8, last) for last in (9, 33))  # the last token is only a target
    losses = [loss(model, Batch.of(packing.pack([Piece(ids, mask)], CONTEXT, pad_id=0)))[0] for ids in (one, other)]
    assert torch.equal(losses[0], losses[1])


def test_long_dialogues_are_cut_between_exchanges() -> None:
    tokenizer = Tokenizer.train(["hello there you"], 300)
    exchange = [Turn("user", "hello there"), Turn("assistant", "you there hello")]
    one = len(render(tokenizer, exchange)[0])
    huge = [Turn("user", "hello"), Turn("assistant", "hello there " * 60)]
    found, too_long = packing.pieces(tokenizer, [*exchange * 3, *huge, *exchange], 2 * one)
    assert [len(p.ids) for p in found] == [2 * one, one, one]
    assert too_long == 1
    assert all(p.ids[0] == tokenizer.user_id and p.ids[-1] == tokenizer.end_id for p in found)
