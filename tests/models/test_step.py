import copy
import math
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from models.checkpoint import digest
from models.gpt import GPT
from models.losses import next_token_sum
from models.optim import make_optimizer
from models.step import TAIL, ExactStep, Exchange, LocalExchange, StepFacts
from tests.models.fakes import in_threads, tiny_model, tiny_optim


def loss(model: nn.Module, batch: Tensor) -> tuple[Tensor, Tensor]:
    return next_token_sum(model(batch[:, :-1]), batch[:, 1:])


def shard(step: int, g: int) -> Tensor:
    return torch.randint(0, 300, (2, 9), generator=torch.Generator().manual_seed(100 * step + g))


def probe(step: int, g: int) -> Tensor | None:
    return shard(77, g) if step != 1 and g < 2 else None


def stepper(model: GPT, shards: int, clip_norm: float = 1.0) -> ExactStep[Tensor]:
    return ExactStep(model, make_optimizer(model, tiny_optim()), loss, shards, clip_norm)


def train(shards: int, exchange: Exchange) -> tuple[str, list[StepFacts]]:
    model = tiny_model()
    exact = stepper(model, shards)
    facts = [
        exact.apply(exact.gradient(partial(shard, step), exchange, probe_of=partial(probe, step)), 1e-2)
        for step in range(3)
    ]
    return digest(model.state_dict()), facts


@pytest.mark.parametrize("shards", [1, 3, 4, 8])
def test_bits_do_not_depend_on_the_members(shards: int) -> None:
    expected = train(shards, LocalExchange())
    for members in (1, 2, 3, 4):
        assert in_threads(members, lambda exchange: train(shards, exchange)) == [expected] * members


def test_the_sum_is_the_whole_batch() -> None:
    model = tiny_model()
    total = stepper(model, 3).gradient(partial(shard, 0), LocalExchange())
    whole, weight = loss(model, torch.cat([shard(0, g) for g in range(3)]))
    whole.backward()  # type: ignore[no-untyped-call]
    gradients = [parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None]
    expected = torch.cat([*gradients, torch.stack([whole.detach(), weight]), torch.zeros(2)])
    torch.testing.assert_close(total, expected, rtol=1e-4, atol=1e-5)


def test_gradient_leaves_no_trace_and_apply_leaves_the_sum() -> None:
    model = tiny_model()
    before = digest(model.state_dict())
    exact = stepper(model, 4)
    first = exact.gradient(partial(shard, 0), LocalExchange())
    assert digest(model.state_dict()) == before
    assert all(parameter.grad is None for parameter in model.parameters())
    kept = first.clone()
    exact.apply(first, 1e-2)
    assert first.equal(kept)
    assert digest(model.state_dict()) != before


class LostPeer(LocalExchange):
    def all_gather(self, x: Tensor) -> list[Tensor]:
        raise ConnectionError("a peer died")


def test_a_step_that_lost_a_peer_is_done_again_with_the_same_bits() -> None:
    model = tiny_model()
    exact = stepper(model, 4)
    before = digest(model.state_dict())
    with pytest.raises(ConnectionError):
        exact.gradient(partial(shard, 0), LostPeer())
    assert digest(model.state_dict()) == before
    again, calm = (step.gradient(partial(shard, 0), LocalExchange()) for step in (exact, stepper(tiny_model(), 4)))
    assert again.equal(calm)


def test_apply_divides_and_clips() -> None:
    model, clip = tiny_model(), 1e-3
    plain = copy.deepcopy(model)
    exact = ExactStep(model, torch.optim.SGD(model.parameters()), loss, 2, clip)
    facts = exact.apply(exact.gradient(partial(shard, 0), LocalExchange()), lr=10.0)
    mean, weight = loss(plain, torch.cat([shard(0, 0), shard(0, 1)]))
    (mean / weight).backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(plain.parameters(), clip)
    sgd = torch.optim.SGD(plain.parameters(), lr=10.0)
    sgd.step()
    assert facts.weight == weight.item() == 32
    assert facts.grad_norm == pytest.approx(norm.item(), rel=1e-4)
    assert facts.loss == pytest.approx((mean / weight).item(), rel=1e-5)
    for got, expected in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0])
def test_a_step_that_cannot_be_applied_changes_nothing(bad: float) -> None:
    model = tiny_model()
    before = digest(model.state_dict())
    exact = stepper(model, 2)
    total = exact.gradient(partial(shard, 0), LocalExchange())
    total[0 if bad else -TAIL + 1] = bad  # a gradient that is not finite, or a weight of zero
    assert not exact.apply(total, 1e-2).applied
    assert digest(model.state_dict()) == before
    assert not exact.optimizer.state


def test_unused_and_frozen_weights() -> None:
    model = tiny_model(tie_embeddings=False)
    model.embedding.weight.requires_grad = False
    exact = stepper(model, 2)
    exact.loss = lambda gpt, batch: (gpt.hidden(batch).sum(), torch.tensor(1.0))  # type: ignore[operator]
    total = exact.gradient(partial(shard, 0), LocalExchange())
    assert len(total) == sum(p.numel() for p in model.parameters() if p.requires_grad) + TAIL
    assert not total[-TAIL - model.config.vocab_size * model.config.width : -TAIL].any()  # the head, which is last


def test_a_probe_is_the_loss_of_the_weights_before_the_step() -> None:
    model = tiny_model()
    exact = stepper(model, 3)
    with torch.no_grad():
        expected, weight = loss(model, torch.cat([shard(77, 0), shard(77, 1)]))
    plain = exact.gradient(partial(shard, 0), LocalExchange())
    probed = exact.gradient(partial(shard, 0), LocalExchange(), probe_of=partial(probe, 0))
    assert probed[:-2].equal(plain[:-2])  # the step itself does not see it
    facts = exact.apply(probed, 1e-2)
    assert facts.probe == pytest.approx(float(expected / weight), rel=1e-5)
    assert exact.apply(exact.gradient(partial(shard, 1), LocalExchange()), 1e-2).probe is None
