"""muP and CompleteP: what a step changes does not move with the width, nor with the depth; so neither does the rate."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.config import GPTConfig
from models.gpt import GPT, init_weights
from models.init import scale
from models.optim import make_optimizer, set_lr
from models.optim_config import OptimConfig
from tests.models.fakes import tiny_config

TOKENS = torch.randint(0, 64, (8, 17), generator=torch.Generator().manual_seed(2)).sort(-1).values


def shape(init: str, width: int, layers: int = 2) -> GPTConfig:
    base = {} if init == "small" else {"base_width": 32} | ({"base_layers": 2} if init == "completep" else {})
    size = {"width": width, "heads": width // 16, "hidden": 2 * width, "layers": layers, "vocab_size": 64}
    return tiny_config(**size, init=init, **base)


def trained(config: GPTConfig, lr: float, steps: int) -> tuple[GPT, list[float]]:
    model = GPT(config)
    init_weights(model, 1)
    optimizer, losses = make_optimizer(model, OptimConfig(peak_lr=lr)), []
    set_lr(optimizer, lr)
    for _ in range(steps):
        loss = F.cross_entropy(model(TOKENS[:, :-1]).flatten(0, 1), TOKENS[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


def moved(config: GPTConfig, lr: float = 0.01) -> dict[str, float]:
    """How far four steps move each thing that should not grow, as a root mean square: the coordinate check."""
    first, _ = trained(config, lr, 0)
    last, _ = trained(config, lr, 4)
    sizes, seen = {}, dict[str, list[Tensor]]()
    for model in (first, last):
        for name, module in model.named_modules():
            name = "stream" if name == f"blocks.{config.layers - 1}" else name
            if name.endswith(("attention.qkv", "attention.out", "mlp.gate_up", "mlp.down", "stream")):
                module.register_forward_hook(lambda _m, _i, out, name=name: seen.setdefault(name, []).append(out))
        with torch.no_grad():
            seen.setdefault("logits", []).append(model(TOKENS[:, :-1]))
    for name, (before, after) in seen.items():
        sizes[name] = float((after - before).square().mean().sqrt())
    return sizes


def test_mup_moves_everything_alike_at_each_width() -> None:
    narrow, wide = moved(shape("mup", 32)), moved(shape("mup", 256))
    for name, size in narrow.items():
        assert 0.5 < wide[name] / size < 1.6, (name, size, wide[name])


def test_without_it_steps_grow_with_the_width() -> None:
    narrow, wide = moved(shape("small", 32)), moved(shape("small", 256))
    assert wide["logits"] / narrow["logits"] > 3
    assert wide["blocks.1.mlp.down"] / narrow["blocks.1.mlp.down"] > 6


def test_completep_moves_the_stream_alike_at_each_depth() -> None:
    shallow, deep = moved(shape("completep", 32, 2)), moved(shape("completep", 32, 16))
    for name in ("stream", "logits", "blocks.1.mlp.gate_up"):
        assert 0.6 < deep[name] / shallow[name] < 1.5, (name, shallow[name], deep[name])
    assert moved(shape("mup", 32, 16))["stream"] / shallow["stream"] > 4  # both are the same at the base depth


@pytest.mark.parametrize("init", ["mup", "completep"])
def test_rates_decay_and_eps_as_published(init: str) -> None:
    config = shape(init, 128, 8)  # m = 4, l = 4
    matrix, size = "blocks.0.mlp.down.weight", (128, 256)
    assert scale(config, "lr_scale", matrix, size) == 1 / 4
    assert scale(config, "decay_scale", matrix, size) == 4
    for name, of in (
        ("embedding.weight", (64, 128)),
        ("head.weight", (64, 128)),
        ("norm.weight", (128,)),
        ("blocks.0.mlp.up.bias", (3, 256)),
    ):
        assert scale(config, "lr_scale", name, of) == scale(config, "decay_scale", name, of) == 1
    assert scale(config, "logit_scale") == 1 / 4
    assert scale(config, "attention_scale") * config.head_width**-0.5 == 8 / config.head_width
    deep = init == "completep"
    assert scale(config, "branch_scale") == (1 / 4 if deep else 1)
    assert scale(config, "eps_scale", matrix, size) == (1 / 16 if deep else 1)
    assert scale(config, "eps_scale", "embedding.weight", (64, 128)) == (1 / 4 if deep else 1)


def test_the_best_rate_stays_where_it_is() -> None:
    """A small model tells muP's best rate for each width; the default's halves as the width doubles."""
    best: dict[str, list[int]] = {}
    for init in ("mup", "small"):
        best[init] = []
        for width in (64, 128, 256):
            losses = {power: sum(trained(shape(init, width), 2.0**power, 12)[1][-3:]) for power in (-8, -7, -6, -5)}
            best[init].append(min(losses, key=lambda power: losses[power]))
    assert best == {"mup": [-5, -5, -5], "small": [-6, -7, -8]}
