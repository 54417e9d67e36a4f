"""What one optimiser takes over from another: the mean of the gradient, in its own form."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.optim import make_optimizer, set_lr
from models.optim_config import OptimConfig
from models.swap import carried, carry, gradient_mean
from tests.models.fakes import tiny_model, tiny_optim

KINDS = ("adamw", "lion", "sgd", "muon")


def config(kind: str) -> OptimConfig:
    return tiny_optim(kind=kind, weight_decay=0.0, nesterov=False)


def states(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    named: dict[str, Any] = dict(model.named_parameters())
    return {f"optim.{m}.{name}": t for name, w in named.items() for m, t in optimizer.state.get(w, {}).items()}


def after_steps(kind: str, gradient: float, steps: int) -> tuple[nn.Module, dict[str, Tensor]]:
    model = tiny_model()
    optimizer = make_optimizer(model, config(kind))
    for _ in range(steps):
        for weight in model.parameters():
            weight.grad = torch.full_like(weight, gradient)
        set_lr(optimizer, 1e-4)
        optimizer.step()
    return model, states(model, optimizer)


@pytest.mark.parametrize("new", KINDS)
@pytest.mark.parametrize("old", KINDS)
def test_the_mean_gradient_is_the_same_before_and_after(old: str, new: str) -> None:
    model, before = after_steps(old, 0.25, 150)
    made = carry(before, model, make_optimizer(model, config(new)), config(old), config(new))
    for name, weight in model.named_parameters():
        state = {key.split(".")[1]: t for key, t in made.items() if key.endswith(f".{name}")}
        mean = gradient_mean(state, config(new))
        assert mean is not None, name
        torch.testing.assert_close(mean, torch.full_like(weight, 0.25), rtol=1e-3, atol=0.0)


@pytest.mark.parametrize("new", ["adamw", "lion", "sgd", "muon", "adafactor"])
def test_what_is_carried_is_a_state_that_the_optimiser_goes_on_with(new: str) -> None:
    model, before = after_steps("adamw", 0.25, 5)
    optimizer = make_optimizer(model, config(new))
    for key, tensor in carry(before, model, optimizer, config("adamw"), config(new)).items():
        _, moment, name = key.split(".", 2)
        optimizer.state[model.get_parameter(name)][moment] = tensor
    kept = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    for weight in model.parameters():
        weight.grad = torch.full_like(weight, 0.25)
    set_lr(optimizer, 1e-3)
    optimizer.step()
    moved = [float((weight.detach() - kept[name]).abs().max()) for name, weight in model.named_parameters()]
    assert all(0 < move < 0.5 for move in moved)


def test_the_same_kind_keeps_all_that_it_has() -> None:
    model, before = after_steps("adamw", 0.25, 5)
    other = tiny_optim(beta1=0.5, beta2=0.5, eps=1.0)
    made = carry(before, model, make_optimizer(model, other), config("adamw"), other)
    assert made.keys() == before.keys()
    assert all(made[key] is before[key] for key in before)


@pytest.mark.parametrize("gradient", [-40.0, -0.1, 0.0, 0.1, 40.0])
def test_adamw_that_takes_over_makes_no_huge_step(gradient: float) -> None:
    """Whatever comes after a mean of 0.1, its first step is at most 1.5 x the rate."""
    weight = nn.Parameter(torch.zeros(3))
    adamw = torch.optim.AdamW([weight], lr=1e-2, betas=(0.9, 0.95), weight_decay=0.0)
    adamw.state[weight] |= carried({"exp_avg": torch.full((3,), 0.1)}, config("lion"), config("adamw"), "adamw")
    weight.grad = torch.full_like(weight, gradient)
    adamw.step()
    assert float(weight.abs().max()) <= 1.5e-2


def test_nothing_is_made_of_nothing() -> None:
    assert carried({}, config("adamw"), config("lion"), "lion") == {}
    variance = {"variance": torch.ones(3), "step": torch.tensor(4.0)}
    assert carried(variance, config("adafactor"), config("adamw"), "adamw") == {}
    assert carried({"exp_avg": torch.ones(3)}, config("lion"), tiny_optim(kind="sgd", momentum=0.0), "sgd") == {}
