from functools import partial

import pytest
import torch
from torch import Tensor, nn

from models.checkpoint import digest
from models.losses import next_token_sum
from models.norms.batch import BatchNorm, make
from models.optim import make_optimizer
from models.step import ExactStep, Exchange, LocalExchange, Observer, StepFacts
from tests.models.fakes import in_threads, tiny_optim


def data(seed: int, rows: int = 4, length: int = 6, width: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 5.0 + torch.randn(rows, length, width, generator=generator) * torch.arange(1.0, width + 1)


def observe(norm: BatchNorm, *shards: Tensor) -> None:
    """One step over shards, as ExactStep makes it."""
    total = torch.zeros(norm.observed_size)
    for shard in shards:
        norm.train()(shard)
        assert norm.observed is not None
        total += norm.observed
        norm.observed = None
    norm.absorb(total)


def test_training_takes_the_statistics_of_all_positions_as_torch_does() -> None:
    ours, theirs, x = BatchNorm(3, 1e-5, True), nn.BatchNorm1d(3, eps=1e-5), data(0)
    with torch.no_grad():
        for norm in (ours, theirs):
            norm.weight.copy_(torch.tensor([1.0, 2.0, 3.0]))
            norm.bias.copy_(torch.tensor([0.1, 0.2, 0.3]))
    torch.testing.assert_close(ours(x), theirs(x.flatten(0, 1)).view_as(x))


def test_running_statistics_are_those_of_the_whole_step() -> None:
    norm = BatchNorm(3, 1e-5, True)
    observe(norm, data(0), data(1), data(2, rows=1))
    positions = torch.cat([data(0), data(1), data(2, rows=1)]).flatten(0, 1)
    torch.testing.assert_close(norm.running_mean, positions.mean(0))
    torch.testing.assert_close(norm.running_var, positions.var(0))
    torch.testing.assert_close(norm.eval()(data(0)), (data(0) - positions.mean(0)) / (positions.var(0) + 1e-5).sqrt())


def test_later_steps_are_averaged_first_alike_then_by_the_momentum_of_torch() -> None:
    ours, theirs = BatchNorm(3, 1e-5, True), nn.BatchNorm1d(3, momentum=0.1)
    for step in range(10):
        observe(ours, data(step))
    torch.testing.assert_close(ours.running_mean, torch.cat([data(i) for i in range(10)]).flatten(0, 1).mean(0))
    assert theirs.running_mean is not None and theirs.running_var is not None
    theirs.running_mean.copy_(ours.running_mean)
    theirs.running_var.copy_(ours.running_var)
    for step in range(10, 13):
        observe(ours, data(step))
        theirs(data(step).flatten(0, 1))
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)


def test_a_large_mean_does_not_swallow_a_small_variance() -> None:
    norm, far = BatchNorm(3, 1e-5, True), 1e4
    for step in range(4):
        observe(norm, data(step) + far)
    torch.testing.assert_close(norm.running_var, torch.tensor([1.0, 4.0, 9.0]), rtol=0.5, atol=0.0)


def test_training_looks_at_later_tokens_and_other_rows_and_evaluation_does_not() -> None:
    norm, x = BatchNorm(3, 1e-5, True), data(0)
    observe(norm, x)
    changed = x.clone()
    changed[1:] += 1.0
    changed[0, 3:] *= 2.0
    assert not torch.equal(norm.train()(x)[0, :3], norm.train()(changed)[0, :3])
    assert torch.equal(norm.eval()(x)[0, :3], norm.eval()(changed)[0, :3])


def test_evaluation_observes_nothing_and_gradients_are_torch_s() -> None:
    norm = make(3, 1e-5, True)
    assert isinstance(norm, BatchNorm) and isinstance(norm, Observer)
    norm.eval()(data(0))
    assert norm.observed is None
    x, y = data(0).requires_grad_(), data(0).requires_grad_()
    norm.train()(x).square().mul(data(3)).sum().backward()
    nn.BatchNorm1d(3)(y.flatten(0, 1)).view_as(y).square().mul(data(3)).sum().backward()
    assert x.grad is not None and y.grad is not None
    torch.testing.assert_close(x.grad, y.grad)


def test_without_bias_there_is_one_parameter() -> None:
    assert [name for name, _ in make(3, 1e-5, False).named_parameters()] == ["weight"]
    assert [name for name, _ in make(3, 1e-5, True).named_parameters()] == ["weight", "bias"]


def test_a_single_position_has_no_variance() -> None:
    with pytest.raises(ValueError, match="more than 1 value"):
        BatchNorm(3, 1e-5, True).train()(data(0, rows=1, length=1))


class Model(nn.Module):
    """Embedding, batch norm, head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.norm, self.head = nn.Embedding(20, 8), BatchNorm(8, 1e-5, True), nn.Linear(8, 20)
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for weight in (self.embedding.weight, self.head.weight, self.head.bias):
                weight.copy_(torch.randn(weight.shape, generator=generator))

    def forward(self, tokens_BT: Tensor) -> Tensor:
        out: Tensor = self.head(self.norm(self.embedding(tokens_BT)))
        return out


def loss(model: nn.Module, batch: Tensor) -> tuple[Tensor, Tensor]:
    return next_token_sum(model(batch[:, :-1]), batch[:, 1:])


def shard(step: int, g: int) -> Tensor:
    return torch.randint(0, 20, (4, 7), generator=torch.Generator().manual_seed(100 * step + g))


def train(shards: int, exchange: Exchange) -> tuple[str, list[StepFacts]]:
    model = Model()
    exact = ExactStep(model, make_optimizer(model, tiny_optim()), loss, shards, 1.0, parts=lambda b: b.split(2))
    facts = [exact.apply(exact.gradient(partial(shard, step), exchange, partial(shard, 77)), 1e-2) for step in range(4)]
    assert float(model.norm.steps) == 4
    return digest(model.state_dict()), facts


@pytest.mark.parametrize("shards", [3, 4])
def test_bits_do_not_depend_on_the_members(shards: int) -> None:
    expected = train(shards, LocalExchange())
    for members in (2, 3):
        assert in_threads(members, partial(train, shards)) == [expected] * members
