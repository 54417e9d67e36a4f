import math

import pytest
import torch

from models.losses import IGNORE, bradley_terry_sum, next_token_sum


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
