"""Scores of continuations: against a naive forward, in any company, and what they say of an item."""

import math

import pytest
import torch

from pipeline.evaluate.score import Scored, continuations, outcome
from pipeline.evaluate.tasks import Item, Request
from tests.pipeline.evaluate.tiny import VOCABULARY, random_gpt, uniform_gpt


def draw(count: int, seed: int) -> list[int]:
    return torch.randint(4, VOCABULARY, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


def test_a_score_is_the_sum_of_teacher_forced_log_probabilities() -> None:
    model = random_gpt(context=32)
    context, options = draw(20, 0), [draw(n, n) for n in (1, 4, 9)]
    for option, scored in zip(options, continuations(model, context, options), strict=True):
        with torch.inference_mode():
            logprobs = torch.log_softmax(model(torch.tensor([[*context, *option]]))[0], -1)
        naive = sum(float(logprobs[19 + i, token]) for i, token in enumerate(option))
        assert scored.logprob == pytest.approx(naive, abs=1e-4)


def test_a_score_does_not_depend_on_its_company() -> None:
    model = random_gpt(context=32)
    context, options = draw(20, 0), [draw(n, n) for n in (5, 5, 9)]
    together = continuations(model, context, options)
    for option, scored in zip(options, together, strict=True):
        (alone,) = continuations(model, context, [option])
        assert alone.logprob == pytest.approx(scored.logprob, abs=1e-4)
        assert alone.greedy == scored.greedy


def test_greedy_means_every_token_is_the_likeliest() -> None:
    model, context = random_gpt(context=32), draw(10, 0)
    best: list[int] = []
    with torch.inference_mode():
        for _ in range(5):
            best.append(int(model(torch.tensor([[*context, *best]]))[0, -1].argmax()))
    wrong_end = [*best[:-1], (best[-1] + 1) % VOCABULARY]
    wrong_start = [(best[0] + 1) % VOCABULARY, *best[1:]]
    assert [s.greedy for s in continuations(model, context, [best, wrong_end, wrong_start])] == [True, False, False]


def test_a_uniform_model_scores_by_length_and_picks_the_first() -> None:
    scored = continuations(uniform_gpt(), draw(5, 0), [draw(3, 1), draw(3, 2)])
    assert [s.logprob for s in scored] == pytest.approx([-3 * math.log(VOCABULARY)] * 2)


def request(kind: str, words: tuple[str, ...], answer: int) -> Request:
    item = Item("i", kind, "plays", "x", words, answer, "d")  # type: ignore[arg-type]
    return Request(item, [1], [[5]] * len(words), 0, 0)


def test_a_choice_is_picked_by_sum_and_by_byte() -> None:
    row = outcome(request("choice", ("é" * 10, "short"), 0), [Scored(-12.0, False), Scored(-10.0, False)])
    assert row["bytes"] == [20, 5]
    assert row["picks"] == {"sum": 1, "per_byte": 0} and row["answer"] == 0


def test_a_cloze_is_exact_where_greedy_gives_the_word() -> None:
    assert outcome(request("cloze", (" word",), 0), [Scored(-1.0, True)])["exact"] is True
