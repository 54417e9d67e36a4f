import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from models.generate import Sample, generate, sequence_logprobs, uniform
from models.gpt import GPT
from tests.models.fakes import tiny_model

PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14], [15, 16]]
KEYS = [(0, row) for row in range(4)]


def draw(model: GPT, prompts: list[list[int]], keys: Sequence[tuple[int, ...]], **changes: Any) -> list[Sample]:
    options: dict[str, Any] = {"max_new": 12, "temperature": 1.0, "stop_id": 1, "pad_id": 0}
    return generate(model, prompts, keys=list(keys), **(options | changes))


def naive(model: GPT, prompt: list[int], key: tuple[int, ...], max_new: int, temperature: float) -> list[int]:
    """No cache, no batch: the whole row again for each token."""
    tokens = list(prompt)
    for index in range(max_new):
        probabilities = (model(torch.tensor([tokens]))[0, -1] / temperature).softmax(-1).double()
        cumulative, target, token = 0.0, uniform(key, index), -1
        while cumulative <= target * float(probabilities.sum()):
            token += 1
            cumulative += float(probabilities[token])
        tokens.append(token)
        if token == 1:
            break
    return tokens[len(prompt) :]


@torch.no_grad()
def test_cache_and_batch_give_the_naive_samples() -> None:
    model = tiny_model()
    for temperature in (0.5, 1.0):
        samples = draw(model, PROMPTS, KEYS, temperature=temperature)
        for prompt, key, sample in zip(PROMPTS, KEYS, samples, strict=True):
            assert sample.tokens == naive(model, prompt, key, 12, temperature)


def test_greedy_takes_the_likeliest() -> None:
    model = tiny_model()
    for prompt, sample in zip(PROMPTS, draw(model, PROMPTS, KEYS, temperature=0.0), strict=True):
        row = torch.tensor([prompt + sample.tokens])
        assert model(row)[0, len(prompt) - 1 : -1].argmax(-1).tolist() == sample.tokens


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.5])
def test_logprobs_are_the_teacher_forced_ones(temperature: float) -> None:
    model = tiny_model()
    samples = draw(model, PROMPTS, KEYS, temperature=temperature)
    rows = [prompt + sample.tokens for prompt, sample in zip(PROMPTS, samples, strict=True)]
    longest = max(map(len, rows))
    tokens_BT = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    forced = sequence_logprobs(model, tokens_BT, [len(row) for row in rows], temperature)
    assert forced.shape == (4, longest - 1)
    for row, (prompt, sample) in enumerate(zip(PROMPTS, samples, strict=True)):
        end = len(prompt) + len(sample.tokens) - 1
        got = forced[row, len(prompt) - 1 : end]
        torch.testing.assert_close(got, torch.tensor(sample.logprobs), rtol=0, atol=1e-5)
        assert not forced[row, end:].any()


def test_a_sample_does_not_depend_on_its_neighbours() -> None:
    model = tiny_model()
    samples = draw(model, PROMPTS, KEYS)
    other_keys = [KEYS[0], (7, 7), (8, 8), KEYS[3]]
    changed = draw(model, PROMPTS, other_keys)
    assert [changed[0].tokens, changed[3].tokens] == [samples[0].tokens, samples[3].tokens]
    assert changed[2].tokens != samples[2].tokens
    order = [2, 0, 3, 1]
    shuffled = draw(model, [PROMPTS[i] for i in order], [KEYS[i] for i in order])
    assert [sample.tokens for sample in shuffled] == [samples[i].tokens for i in order]
    assert draw(model, PROMPTS[:1], KEYS[:1])[0].tokens == samples[0].tokens


def test_uniforms_are_keyed_and_uniform() -> None:
    numbers = [uniform((seed, 1), index) for seed in range(50) for index in range(100)]
    assert len(set(numbers)) == len(numbers)
    assert all(0 <= number < 1 for number in numbers)
    counts = Counter(int(10 * number) for number in numbers)
    chi_square = sum((counts[cell] - 500) ** 2 / 500 for cell in range(10))
    assert chi_square < 27.9  # p = 0.001 with 9 degrees of freedom
    assert uniform((1, 2), 3) == uniform((1, 2), 3) != uniform((1,), 23)


@torch.no_grad()
def test_frequencies_are_the_probabilities() -> None:
    model = tiny_model()
    samples = draw(model, [[5, 6]] * 2000, [(i,) for i in range(2000)], max_new=1, temperature=0.3)
    counts = Counter(sample.tokens[0] for sample in samples)
    probabilities = (model(torch.tensor([[5, 6]]))[0, -1] / 0.3).softmax(-1)
    for token in probabilities.topk(5).indices.tolist():
        p = float(probabilities[token])
        assert abs(counts[token] - 2000 * p) < 4.5 * math.sqrt(2000 * p * (1 - p))


def test_stop_and_context_and_max_new_end_a_sample() -> None:
    model = tiny_model()
    first = draw(model, PROMPTS[:1], KEYS[:1])[0].tokens
    stopped = draw(model, PROMPTS, KEYS, stop_id=first[3])[0]
    assert stopped.tokens == first[: first.index(first[3]) + 1]
    assert stopped.ended
    samples = draw(model, [[5] * 30, [5]], KEYS[:2], max_new=40, stop_id=-1)
    assert [len(sample.tokens) for sample in samples] == [2, 31]  # the context has 32
    assert [sample.ended for sample in samples] == [False, False]
    assert all(len(sample.logprobs) == len(sample.tokens) for sample in samples)


def test_a_full_row_does_not_disturb_the_others() -> None:
    model = tiny_model()
    together = draw(model, [[5] * 30, [6]], KEYS[:2], max_new=31, stop_id=-1)
    alone = draw(model, [[6]], KEYS[1:2], max_new=31, stop_id=-1)
    assert together[1].tokens == alone[0].tokens


def test_sampling_is_without_dropout_whatever_the_mode_and_leaves_it_as_it_was() -> None:
    model = tiny_model(dropout=0.5, attention_dropout=0.5)
    samples = draw(model.eval(), PROMPTS, KEYS)
    assert draw(model.train(), PROMPTS, KEYS) == samples
    assert all(module.training for module in model.modules())


def test_top_k_cuts_and_renormalises() -> None:
    model = tiny_model()
    greedy = draw(model, PROMPTS, KEYS, temperature=0.0)
    top = draw(model, PROMPTS, KEYS, top_k=1)
    assert [sample.tokens for sample in top] == [sample.tokens for sample in greedy]
    assert all(abs(logprob) < 1e-6 for sample in top for logprob in sample.logprobs)
    best = set(model(torch.tensor([PROMPTS[0]]))[0, -1].topk(3).indices.tolist())
    drawn = draw(model, [PROMPTS[0]] * 200, [(i,) for i in range(200)], max_new=1, top_k=3, temperature=2.0)
    assert {sample.tokens[0] for sample in drawn} == best


@pytest.mark.parametrize(
    "changes", [{"prompts": [[]]}, {"prompts": [[5] * 32]}, {"keys": []}, {"temperature": -1.0}, {"max_new": 0}]
)
def test_wrong_arguments_are_refused(changes: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"prompts": [[5]], "keys": [(0,)]} | changes
    with pytest.raises(ValueError, match=r"prompt|max_new"):
        draw(tiny_model(), arguments.pop("prompts"), arguments.pop("keys"), **arguments)


def test_sequence_logprobs_can_be_trained() -> None:
    model = tiny_model()
    sequence_logprobs(model, torch.tensor([[5, 6, 7]]), [3]).sum().backward()  # type: ignore[no-untyped-call]
    assert model.embedding.weight.grad is not None
