import copy
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from models.gpt import GPT
from models.heads import ScalarModel
from models.init import init_weights
from models.losses import next_token_sum
from models.optim import make_optimizer, set_lr
from models.optim_config import Optimizer
from pipeline.pretrain.state import moments, set_moments
from tests.models.fakes import tiny_config, tiny_model, tiny_optim

KINDS = get_args(Optimizer)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    """Steps whose data and rate are functions of their number."""
    for step in steps:
        tokens = torch.randint(0, 300, (2, 9), generator=torch.Generator().manual_seed(step))
        loss, weight = next_token_sum(model(tokens[:, :-1]), tokens[:, 1:])
        (loss / weight).backward()  # type: ignore[no-untyped-call]
        set_lr(optimizer, 1e-2 / (step + 1))
        optimizer.step()
        optimizer.zero_grad()


def bits(model: nn.Module) -> list[Tensor]:
    return [weight.detach().clone() for weight in model.parameters()]


@pytest.mark.parametrize("kind", KINDS)
def test_only_matrices_decay(kind: str) -> None:
    model = ScalarModel(tiny_config(tie_embeddings=False, positions="learned", bias=True, qk_norm=True))
    optimizer = make_optimizer(model, tiny_optim(weight_decay=0.3, kind=kind))
    decay = {id(weight): group["weight_decay"] for group in optimizer.param_groups for weight in group["params"]}
    names = {id(w): n for g in optimizer.param_groups for w, n in zip(g["params"], g["names"], strict=True)}
    assert len(decay) == len(list(model.parameters()))
    for name, weight in model.named_parameters():
        none = any(part in name for part in ("norm", "embedding", "positions", "bias"))
        assert decay[id(weight)] == (0.0 if none else 0.3), name
        assert names[id(weight)] == name


def test_a_bias_of_each_expert_is_a_bias() -> None:
    class Stack(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias, self.weight = nn.Parameter(torch.zeros(4, 3)), nn.Parameter(torch.zeros(4, 3, 2))

    model = nn.ModuleDict({"blocks": nn.ModuleList([Stack()])})
    found = make_optimizer(model, tiny_optim(kind="muon", weight_decay=0.5)).param_groups
    assert {(*g["names"], g["kind"], g["weight_decay"]) for g in found} == {
        ("blocks.0.bias", "adamw", 0.0),
        ("blocks.0.weight", "muon", 0.5),
    }


def test_one_update_is_adamw() -> None:
    model = tiny_model()
    optimizer = make_optimizer(model, tiny_optim(weight_decay=0.5))
    weight, norm = model.get_parameter("blocks.0.mlp.down.weight"), model.get_parameter("norm.weight")
    old, old_norm = weight.detach().clone(), norm.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, -3.0)
    set_lr(optimizer, 0.1)
    optimizer.step()
    # the first step of Adam is the sign of the gradient
    torch.testing.assert_close(weight.detach(), old * (1 - 0.1 * 0.5) + 0.1)
    torch.testing.assert_close(norm.detach(), old_norm + 0.1)


def test_the_default_has_the_bits_of_torch_adamw() -> None:
    model, plain = tiny_model(), tiny_model()
    embeddings = [plain.embedding.weight]
    matrices = [w for w in plain.parameters() if w.ndim == 2 and w is not embeddings[0]]
    vectors = embeddings + [w for w in plain.parameters() if w.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    train(plain, torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.95), eps=1e-8, fused=True), range(4))
    train(model, make_optimizer(model, tiny_optim()), range(4))
    assert all(map(torch.equal, bits(model), bits(plain)))


@pytest.mark.parametrize("changes", [{}, {"momentum": 0.0}, {"nesterov": False}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_goes_on_from_its_state_with_the_same_bits(kind: str, changes: dict[str, Any]) -> None:
    config = tiny_optim(kind=kind, **changes)
    whole, broken, resumed = tiny_model(), tiny_model(), tiny_model(seed=9)
    train(whole, make_optimizer(whole, config), range(6))
    optimizer = make_optimizer(broken, config)
    train(broken, optimizer, range(3))
    state = {name: tensor.clone() for name, tensor in moments(broken, optimizer, "optim").items()}
    resumed.load_state_dict(broken.state_dict())
    optimizer = make_optimizer(resumed, config)
    set_moments(resumed, optimizer, "optim", state)
    train(resumed, optimizer, range(3, 6))
    assert all(map(torch.equal, bits(resumed), bits(whole)))
    assert all(isinstance(moment, Tensor) for found in optimizer.state.values() for moment in found.values())


@pytest.mark.parametrize("kind", KINDS)
def test_torch_can_load_a_state_as_well(kind: str) -> None:
    config = tiny_optim(kind=kind)
    whole, resumed = tiny_model(), tiny_model()
    first = make_optimizer(whole, config)
    train(whole, first, range(2))
    second = make_optimizer(resumed, config)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    resumed.load_state_dict(whole.state_dict())
    train(whole, first, range(2, 4))
    train(resumed, second, range(2, 4))
    assert all(map(torch.equal, bits(resumed), bits(whole)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_optimiser_learns(kind: str) -> None:
    rate = {"adafactor": 3e-2, "lion": 1e-3, "sgd": 1e-2}.get(kind, 1e-2)
    model = GPT(tiny_config())
    init_weights(model, 0)
    optimizer = make_optimizer(model, tiny_optim(kind=kind))
    set_lr(optimizer, rate)
    tokens = torch.randint(0, 300, (4, 17), generator=torch.Generator().manual_seed(1))
    losses = []
    for _ in range(30):
        loss, weight = next_token_sum(model(tokens[:, :-1]), tokens[:, 1:])
        (loss / weight).backward()  # type: ignore[no-untyped-call]
        losses.append(float(loss.detach() / weight))
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < losses[0] - 0.5


def test_knobs_change_the_step() -> None:
    def after(**changes: Any) -> list[Tensor]:
        model = tiny_model()
        train(model, make_optimizer(model, tiny_optim(**changes)), range(3))
        return bits(model)

    for kind, knobs in {
        "adamw": {"beta1": 0.5, "beta2": 0.5, "eps": 1e-2, "weight_decay": 0.0},
        "lion": {"beta1": 0.5, "beta2": 0.5, "weight_decay": 0.0},
        "sgd": {"momentum": 0.5, "nesterov": False, "weight_decay": 0.0},
        "muon": {"momentum": 0.5, "nesterov": False, "weight_decay": 0.0, "matrix_lr": 2.0, "beta1": 0.5},
        "adafactor": {"weight_decay": 0.0},
    }.items():
        before = after(kind=kind)
        for knob, value in knobs.items():
            assert not all(map(torch.equal, after(kind=kind, **{knob: value}), before)), (kind, knob)


def test_muon_turns_the_matrices_of_blocks_alone() -> None:
    model = GPT(tiny_config(tie_embeddings=False))
    groups = make_optimizer(model, tiny_optim(kind="muon", matrix_lr=3.0)).param_groups
    turned = {name for group in groups if group["kind"] == "muon" for name in group["names"]}
    assert turned == {n for n, w in model.named_parameters() if n.startswith("blocks.") and w.ndim == 2}
    assert {(group["kind"], group["scale"]) for group in groups} == {("muon", 3.0), ("adamw", 1.0)}


def test_set_lr_overrules_a_loaded_state() -> None:
    model = tiny_model()
    optimizer = make_optimizer(model, tiny_optim())
    state = optimizer.state_dict()
    state["param_groups"][0]["lr"] = 99.0
    optimizer.load_state_dict(state)
    set_lr(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.25, 0.25])


def test_set_lr_keeps_the_scales_of_the_groups() -> None:
    optimizer = make_optimizer(tiny_model(), tiny_optim(kind="muon", matrix_lr=4.0))
    set_lr(optimizer, 0.5)
    assert {group["kind"]: group["lr"] for group in optimizer.param_groups} == {"muon": 2.0, "adamw": 0.5}


def test_frozen_weights_are_left_out() -> None:
    model = tiny_model()
    model.embedding.weight.requires_grad = False
    groups = make_optimizer(model, tiny_optim()).param_groups
    assert all(weight is not model.embedding.weight for group in groups for weight in group["params"])


# Rates of an init


class Square(nn.Module):
    """One matrix of a block, as wide as the model, and a head."""

    def __init__(self, width: int, init: str) -> None:
        super().__init__()
        self.config = tiny_config(width=width, hidden=width, init=init, base_width=32, base_layers=1)
        self.blocks = nn.ModuleList([nn.Linear(width, width, bias=False)])


def moved(kind: str, width: int, init: str) -> float:
    """Root mean square by which one step changes the output for an input of size one, where gradients agree."""
    model = Square(width, init)
    generator = torch.Generator().manual_seed(0)
    weight = model.get_parameter("blocks.0.weight")
    with torch.no_grad():
        weight.copy_(torch.randn(width, width, generator=generator) / width**0.5)
    x, error = (torch.randn(width, generator=generator).sign() for _ in range(2))
    old = weight.detach().clone()
    weight.grad = torch.outer(error, x) / width
    optimizer = make_optimizer(model, tiny_optim(kind=kind, weight_decay=0.0))
    set_lr(optimizer, 1e-2)
    optimizer.step()
    return float(((weight.detach() - old) @ x).square().mean().sqrt())


@pytest.mark.parametrize("init", ["mup", "completep"])
@pytest.mark.parametrize("kind", ["adamw", "lion", "adafactor", "muon"])
def test_under_mup_a_step_changes_the_output_as_much_at_each_width(kind: str, init: str) -> None:
    narrow, wide = (moved(kind, width, init) for width in (32, 512))
    assert wide == pytest.approx(narrow, rel=0.1)
    assert moved(kind, 512, "small") > 2 * moved(kind, 32, "small")


def test_under_mup_rate_times_decay_stays() -> None:
    for kind in ("adamw", "muon", "adafactor"):
        (group,) = make_optimizer(Square(128, "mup"), tiny_optim(kind=kind, weight_decay=0.2)).param_groups
        assert group["scale"] < 1
        assert group["scale"] * group["weight_decay"] == pytest.approx(0.2)


def test_completep_scales_eps() -> None:
    (group,) = make_optimizer(Square(128, "completep"), tiny_optim(eps=1e-6)).param_groups
    assert group["eps"] == pytest.approx(1e-6 / 4 / 2)  # width 4 x, two layers for one


def test_sgd_under_mup_is_refused() -> None:
    with pytest.raises(ValueError, match=r"optim\.kind sgd: init mup"):
        make_optimizer(Square(128, "mup"), tiny_optim(kind="sgd"))
    make_optimizer(Square(128, "small"), tiny_optim(kind="sgd"))
