"""Each formula against torch's own where there is one, else against the paper's lines."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from models.optim_config import OptimConfig
from models.optimizers import adafactor, lion, muon, sgd

SHAPES = {"blocks.0.out.weight": (12, 8), "norm.weight": (8,)}
STEPS, RATE = 5, 0.01
Shapes = Mapping[str, tuple[int, ...]]


def config(**changes: Any) -> OptimConfig:
    return OptimConfig.model_validate({"peak_lr": RATE, **changes})


def gradients(step: int, shapes: Shapes) -> list[Tensor]:
    generator = torch.Generator().manual_seed(100 + step)
    return [torch.randn(shape, generator=generator) for shape in shapes.values()]


def first(shapes: Shapes) -> list[Tensor]:
    return [torch.nn.Parameter(weight) for weight in gradients(-1, shapes)]


def ours(leaf: Any, settings: OptimConfig, shapes: Shapes = SHAPES, **group: Any) -> list[Tensor]:
    """Weights after some steps by one of our formulas."""
    weights = first(shapes)
    settled = {"params": weights, "names": list(shapes), "weight_decay": settings.weight_decay, **group}
    return run(leaf.make([settled], settings), weights, shapes)


def run(optimizer: torch.optim.Optimizer, weights: list[Tensor], shapes: Shapes) -> list[Tensor]:
    for step in range(STEPS):
        for weight, gradient in zip(weights, gradients(step, shapes), strict=True):
            weight.grad = gradient
        optimizer.step()
    return [weight.detach() for weight in weights]


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.9, True), (0.9, False), (0.0, False)])
def test_sgd_is_torch_sgd_with_decoupled_decay(momentum: float, nesterov: bool) -> None:
    plain = first(SHAPES)
    torch_sgd = torch.optim.SGD(plain, lr=RATE, momentum=momentum, nesterov=nesterov)
    expected = run(torch_sgd, plain, SHAPES)
    made = ours(sgd, config(kind="sgd", momentum=momentum, nesterov=nesterov, weight_decay=0.0))
    torch.testing.assert_close(made, expected)
    decayed = ours(sgd, config(kind="sgd", momentum=0.0, weight_decay=0.5))
    by_hand = first(SHAPES)[0].detach()
    for step in range(STEPS):
        by_hand = by_hand * (1 - RATE * 0.5) - RATE * gradients(step, SHAPES)[0]
    torch.testing.assert_close(decayed[0], by_hand)


def test_adafactor_is_torch_adafactor() -> None:
    """For stacks too; torch bounds the rate by 1 / sqrt(step), which these steps do not reach."""
    shapes = {**SHAPES, "blocks.0.experts": (3, 4, 6)}
    plain = first(shapes)
    expected = run(torch.optim.Adafactor(plain, lr=RATE), plain, shapes)
    torch.testing.assert_close(ours(adafactor, config(kind="adafactor", weight_decay=0.0), shapes), expected)


def test_adafactor_of_a_zero_gradient_stays_finite() -> None:
    weight = torch.nn.Parameter(torch.ones(3, 4))
    optimizer = adafactor.make([{"params": [weight], "names": ["w"], "weight_decay": 0.0}], config(kind="adafactor"))
    weight.grad = torch.zeros(3, 4)
    optimizer.step()
    assert torch.equal(weight.detach(), torch.ones(3, 4))


def test_adafactor_keeps_a_row_and_a_column() -> None:
    weight = torch.nn.Parameter(torch.ones(30, 40))
    optimizer = adafactor.make([{"params": [weight], "names": ["w"], "weight_decay": 0.0}], config(kind="adafactor"))
    weight.grad = torch.randn(30, 40)
    optimizer.step()
    assert sum(moment.numel() for moment in optimizer.state[weight].values()) == 30 + 40 + 1


def test_lion_by_the_lines_of_algorithm_2() -> None:
    made = ours(lion, config(kind="lion", beta1=0.9, beta2=0.99, weight_decay=0.2))
    for place, weight in enumerate(first(SHAPES)):
        theta, m = weight.detach(), torch.zeros_like(weight)
        for step in range(STEPS):
            g = gradients(step, SHAPES)[place]
            c = 0.9 * m + (1 - 0.9) * g
            theta = theta - RATE * (torch.sign(c) + 0.2 * theta)
            m = 0.99 * m + (1 - 0.99) * g
        torch.testing.assert_close(made[place], theta)


@pytest.mark.parametrize("shape", [(24, 24), (40, 16), (16, 40)])
def test_muon_is_torch_muon_but_for_its_rounding(shape: tuple[int, int]) -> None:
    """torch turns in bfloat16: an update is within a few percent of ours, in direction and in size."""
    shapes: Shapes = {"blocks.0.out.weight": shape}
    for nesterov in (True, False):
        plain = first(shapes)
        settings = config(kind="muon", momentum=0.9, nesterov=nesterov, weight_decay=0.1)
        peer = torch.optim.Muon(
            plain, lr=RATE, momentum=0.9, nesterov=nesterov, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"
        )
        (expected,), start = run(peer, plain, shapes), first(shapes)[0].detach()
        (made,) = ours(muon, settings, shapes, kind="muon")
        assert torch.linalg.norm(made - expected) < 0.05 * torch.linalg.norm(made - start)


@pytest.mark.parametrize("shape", [(20, 20), (12, 30), (30, 12)])
def test_a_turned_matrix_keeps_its_directions_and_loses_its_sizes(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    U, S, Vh = torch.linalg.svd(matrix, full_matrices=False)
    found = U.T @ muon.orthogonal(matrix) @ Vh.T
    sizes, large = found.diagonal(), S.max() * 0.05 < S
    assert sizes[large].min() > 0.6
    assert sizes.max() < 1.3
    torch.testing.assert_close(found, torch.diag(sizes), rtol=0.0, atol=1e-4)


def test_a_turned_update_is_as_large_as_adamws() -> None:
    for shape in ((64, 64), (64, 256), (256, 64)):
        weight = torch.nn.Parameter(torch.zeros(shape))
        group = {"params": [weight], "names": ["blocks.0.out.weight"], "weight_decay": 0.0, "kind": "muon"}
        optimizer = muon.make([group], config(kind="muon", peak_lr=1.0))
        weight.grad = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        optimizer.step()
        assert weight.detach().square().mean().sqrt().item() == pytest.approx(0.2, rel=0.2)


@pytest.mark.parametrize(
    ("name", "shape", "cuts"),
    [
        ("blocks.0.attention.qkv.weight", (24, 8), [8, 8, 8]),
        ("blocks.0.attention.qkv.weight", (12, 8), [8, 2, 2]),  # two heads of keys for eight of queries
        ("blocks.0.mlp.gate_up.weight", (20, 8), [10, 10]),
        ("blocks.0.mlp.gate_up.weight", (3, 20, 8), [10, 10] * 3),
        ("blocks.0.mlp.down.weight", (3, 8, 10), [8] * 3),
        ("blocks.0.attention.out.weight", (8, 8), [8]),
    ],
)
def test_fused_matrices_and_experts_are_turned_apart(name: str, shape: tuple[int, ...], cuts: list[int]) -> None:
    weight = torch.nn.Parameter(torch.zeros(shape))
    generator = torch.Generator().manual_seed(2)
    weight.grad = torch.randn(shape, generator=generator) * (1 + torch.arange(shape[-2])[:, None])
    optimizer = muon.make(
        [{"params": [weight], "names": [name], "weight_decay": 0.0, "kind": "muon"}], config(kind="muon")
    )
    optimizer.step()
    pieces = torch.split(weight.grad.view(-1, shape[-1]), cuts)
    expected = [muon.orthogonal(piece) * -RATE * 0.2 * max(piece.shape) ** 0.5 for piece in pieces]
    torch.testing.assert_close(weight.detach().view(-1, shape[-1]), torch.cat(expected))
