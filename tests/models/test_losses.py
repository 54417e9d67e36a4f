import math
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from models.losses import IGNORE, bradley_terry_sum, linear_cross_entropy, next_token_sum
from tests.models.fakes import tiny_model

N, D, V = 13, 6, 17


def test_next_token_sum_is_the_sum_over_counted_tokens() -> None:
    logits, targets = torch.randn(2, 3, 5), torch.tensor([[1, IGNORE, 4], [0, 2, IGNORE]])
    expected = -sum(logits[b, t].log_softmax(-1)[targets[b, t]] for b, t in ((0, 0), (0, 2), (1, 0), (1, 1)))
    loss, weight = next_token_sum(logits, targets)
    torch.testing.assert_close(loss, torch.as_tensor(expected))
    assert weight.item() == 4.0
    assert weight.is_floating_point()


def test_nothing_counted_is_zero_and_has_a_gradient() -> None:
    logits = torch.randn(1, 2, 5, requires_grad=True)
    loss, weight = next_token_sum(logits, torch.full((1, 2), IGNORE))
    loss.backward()  # type: ignore[no-untyped-call]
    assert (loss.item(), weight.item()) == (0.0, 0.0)
    assert logits.grad is not None
    assert not logits.grad.any()


def test_bradley_terry_by_hand() -> None:
    loss, weight = bradley_terry_sum(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 0.0]))
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-2)) + math.log(2))
    assert weight.item() == 2.0


# The output head with its loss


def inputs(dtype: torch.dtype = torch.float64, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(N, D, generator=generator, dtype=dtype).requires_grad_()
    weight = torch.randn(V, D, generator=generator, dtype=dtype).requires_grad_()
    targets = torch.randint(0, V, (N,), generator=generator)
    targets[::4] = IGNORE
    return hidden, weight, targets


def naive(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    scale: float = 1.0,
    cap: float = 0.0,
    smoothing: float = 0.0,
    z_weight: float = 0.0,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """(objective, cross-entropy), token by token, from whole logits."""
    logits = scale * hidden @ weight.T
    if cap:
        logits = cap * torch.tanh(logits / cap)
    objective, shown = logits.new_zeros(()), logits.new_zeros(())
    for z, target in zip(logits, targets.tolist(), strict=True):
        if target != IGNORE:
            logs = z.log_softmax(-1)
            objective = objective - (1 - smoothing) * logs[target] - smoothing * logs.mean()
            objective = objective + z_weight * z.exp().sum().log() ** 2
            shown = shown - logs[target]
    return objective, shown


KNOBS: list[dict[str, Any]] = [
    {},
    {"scale": 0.3},
    {"cap": 2.0},
    {"smoothing": 0.2},
    {"z_weight": 0.5},
    {"scale": 1.7, "cap": 1.5, "smoothing": 0.1, "z_weight": 0.01},
]
CHUNKS: list[dict[str, Any]] = [
    {},
    {"row_chunk": 1},
    {"row_chunk": 4},
    {"vocab_chunk": 5},
    {"row_chunk": 3, "vocab_chunk": 16},
    {"vocab_chunk": 99},
]


@pytest.mark.parametrize("chunks", CHUNKS, ids=str)
@pytest.mark.parametrize("knobs", KNOBS, ids=str)
def test_values_and_gradients_are_those_of_the_formula(knobs: dict[str, Any], chunks: dict[str, Any]) -> None:
    hidden, weight, targets = inputs()
    objective, shown = naive(hidden, weight, targets, **knobs)
    expected = torch.autograd.grad(objective, (hidden, weight))
    made, counted, made_shown = linear_cross_entropy(hidden, weight, targets, **knobs, **chunks)
    torch.testing.assert_close((made, made_shown), (objective, shown))
    assert counted.item() == (targets != IGNORE).sum()
    torch.testing.assert_close(torch.autograd.grad(made, (hidden, weight)), expected)


@pytest.mark.parametrize("vocab_chunk", [0, 7])
def test_gradients_are_those_of_differences(vocab_chunk: int) -> None:
    hidden, weight, targets = inputs()

    def objective(hidden: Tensor, weight: Tensor) -> Tensor:
        knobs = {"cap": 3.0, "smoothing": 0.1, "z_weight": 0.1, "scale": 0.7}
        return 3 * linear_cross_entropy(hidden, weight, targets, **knobs, vocab_chunk=vocab_chunk)[0]  # type: ignore[arg-type]

    assert torch.autograd.gradcheck(objective, (hidden, weight))


def test_each_term_is_in_what_is_descended_and_not_in_what_is_shown() -> None:
    plain, _, shown = linear_cross_entropy(*inputs())
    assert plain == shown
    for knobs in ({"smoothing": 0.1}, {"z_weight": 0.1}):
        objective, _, same = linear_cross_entropy(*inputs(), **knobs)  # type: ignore[arg-type]
        assert same == shown
        assert objective != shown


def test_shown_has_no_gradient() -> None:
    assert not linear_cross_entropy(*inputs())[2].requires_grad


def test_it_is_the_cross_entropy_of_a_model() -> None:
    """Tied head: the gradient reaches the embedding from both ends."""
    model, tokens = tiny_model(), torch.randint(0, 300, (3, 9))
    next_token_sum(model(tokens[:, :-1]), tokens[:, 1:])[0].backward()  # type: ignore[no-untyped-call]
    expected = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad()
    hidden = model.hidden(tokens[:, :-1]).flatten(0, 1)
    linear_cross_entropy(hidden, model.embedding.weight, tokens[:, 1:].flatten())[0].backward()  # type: ignore[no-untyped-call]
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.grad, expected[name], rtol=1e-4, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(N)), st.lists(st.integers(0, N), max_size=4), st.integers(0, 5))
def test_gradients_do_not_depend_on_packing_or_on_the_cut(order: list[int], cuts: list[int], padding: int) -> None:
    """Rows in another order, with padding, in other shards: sums and gradients of the whole are the same."""
    hidden, weight, targets = inputs(torch.float32)
    knobs = {"smoothing": 0.1, "z_weight": 0.01}
    expected = linear_cross_entropy(hidden, weight, targets, **knobs)  # type: ignore[arg-type]
    gradients = torch.autograd.grad(expected[0], (hidden, weight))
    moved, moved_targets = hidden[order], targets[order]
    moved, moved_targets = F.pad(moved, (0, 0, 0, padding)), F.pad(moved_targets, (0, padding), value=IGNORE)
    bounds = sorted({0, *cuts, N + padding})
    shards = [
        linear_cross_entropy(moved[lo:hi], weight, moved_targets[lo:hi], row_chunk=4, **knobs)  # type: ignore[arg-type]
        for lo, hi in pairwise(bounds)
    ]
    sums = [torch.stack(part).sum() for part in zip(*shards, strict=True)]
    torch.testing.assert_close(sums, list(expected))
    torch.testing.assert_close(torch.autograd.grad(sums[0], (hidden, weight)), gradients)


def test_the_same_bits_each_time() -> None:
    found = []
    for _ in range(2):
        hidden, weight, targets = inputs(torch.float32)
        objective = linear_cross_entropy(hidden, weight, targets, row_chunk=4)[0]
        found.append((objective, *torch.autograd.grad(objective, (hidden, weight))))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Elements of the largest tensor that was made."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, Tensor) and not func.is_view:
                self.elements = max(self.elements, tensor.numel())
        return made


def largest_made() -> Largest:
    return Largest()  # type: ignore[no-untyped-call]


def test_logits_never_stand_whole() -> None:
    rows, width, vocabulary = 64, 4, 128
    hidden, weight = torch.randn(rows, width, requires_grad=True), torch.randn(vocabulary, width, requires_grad=True)
    targets = torch.randint(0, vocabulary, (rows,))
    for chunks, most in (({"row_chunk": 4}, 4 * vocabulary), ({"row_chunk": 16, "vocab_chunk": 32}, 16 * 32)):
        with largest_made() as largest:
            linear_cross_entropy(hidden, weight, targets, cap=5.0, **chunks)[0].backward()  # type: ignore[no-untyped-call]
        assert largest.elements <= max(most, vocabulary * width)
    with largest_made() as largest:
        next_token_sum((hidden @ weight.T)[None], targets[None])
    assert largest.elements == rows * vocabulary  # what it is spared


def test_without_gradients_none_are_made() -> None:
    hidden, weight, targets = inputs()
    expected = linear_cross_entropy(hidden, weight, targets, smoothing=0.1)
    with torch.no_grad(), largest_made() as largest:
        found = linear_cross_entropy(hidden, weight, targets, smoothing=0.1, row_chunk=2)
    torch.testing.assert_close(found, tuple(x.detach() for x in expected))
    assert not found[0].requires_grad
    assert largest.elements < V * D  # the weight's gradient


def test_a_frozen_head_gets_no_gradient() -> None:
    hidden, weight, targets = inputs()
    expected = torch.autograd.grad(linear_cross_entropy(hidden, weight, targets)[0], hidden)
    objective = linear_cross_entropy(hidden, weight.detach(), targets)[0]
    torch.testing.assert_close(torch.autograd.grad(objective, hidden), expected)


def test_nothing_counted_in_the_head_is_zero() -> None:
    hidden, weight, targets = inputs()
    objective, counted, shown = linear_cross_entropy(hidden, weight, torch.full_like(targets, IGNORE))
    objective.backward()  # type: ignore[no-untyped-call]
    assert (objective.item(), counted.item(), shown.item()) == (0.0, 0.0, 0.0)
    assert hidden.grad is not None
    assert weight.grad is not None
    assert not hidden.grad.any()
    assert not weight.grad.any()


def test_something_that_is_not_finite_shows() -> None:
    hidden, weight, targets = inputs()
    broken = hidden.detach().clone()
    broken[1, 0] = torch.nan
    assert not linear_cross_entropy(broken, weight, targets)[0].isfinite()


@pytest.mark.parametrize("vocab_chunk", [0, 5])
def test_autocast_rounds_products_alone(vocab_chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *size, **how: empty(*size, **how).fill_(torch.nan))
    hidden, weight, targets = inputs(torch.float32)
    expected = linear_cross_entropy(hidden, weight, targets)
    gradients = torch.autograd.grad(expected[0], (hidden, weight))
    with torch.autocast("cpu", torch.bfloat16):
        found = linear_cross_entropy(hidden, weight, targets, vocab_chunk=vocab_chunk)
    assert found[0].dtype == torch.float32
    assert found[0] != expected[0]
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=0.0)
    torch.testing.assert_close(torch.autograd.grad(found[0], (hidden, weight)), gradients, rtol=0.05, atol=0.05)
