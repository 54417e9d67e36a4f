"""First weights, each parameter from its own generator. Knows no init by name: a leaf of models/inits/ says the sizes.

A leaf has ``first(config, name, shape)``, the standard deviation of a matrix, or ``Rows`` of them where parts of a
fused matrix differ. What it may have besides, read by the model and the optimiser through `scale`, is in SCALES.
"""

import hashlib
from typing import Any

import torch
from torch import Tensor, nn

from models.config import GPTConfig
from models.parts import part

Rows = tuple[tuple[int, float], ...]  # (rows, their standard deviation), from the first row on; they fill the matrix
SCALES = (
    "lr_scale",  # (config, name, shape): a parameter's learning rate / the schedule's
    "decay_scale",  # (config, name, shape): its weight decay / the config's, where the rate has its scale already
    "eps_scale",  # (config, name, shape): Adam's eps / the config's
    "embedding_scale",  # (config): what the token embedding gives is multiplied with
    "attention_scale",  # (config): query x key / sqrt(head_width) is multiplied with
    "branch_scale",  # (config): what a branch adds to the residual stream is multiplied with
    "logit_scale",  # (config): logits are multiplied with
)


def named_generator(seed: int, name: str) -> torch.Generator:
    """A generator keyed by (seed, name), whatever was drawn before and whatever else is in the model."""
    key = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(key[:8], "little"))


def init_weights(model: nn.Module, seed: int) -> None:
    """Draw each matrix of a model from N(0, std^2) by its config's init; norms start at one, biases at zero.

    A parameter's bits are a function of (seed, its full name, its shape), so they do not depend on order or layout.
    """
    config = model.config
    assert isinstance(config, GPTConfig)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.zero_()
            elif weight.ndim == 1:
                weight.fill_(1.0)
            else:
                weight.copy_(first_weight(config, name, tuple(weight.shape), seed))


def first_weight(config: GPTConfig, name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    """The first value of one matrix, or of a stack of them [..., out, in]."""
    drawn = torch.randn(shape, generator=named_generator(seed, name))
    std: float | Rows = part("inits", config.init).first(config, name, shape)
    if isinstance(std, float):
        return drawn * std
    counts, stds = zip(*std, strict=True)
    return drawn * torch.tensor(stds).repeat_interleave(torch.tensor(counts))[:, None]


def scale(config: GPTConfig, kind: str, *about: Any) -> float:
    """One of SCALES by the config's init: 1.0 where that has none."""
    assert kind in SCALES
    says = getattr(part("inits", config.init), kind, None)
    return 1.0 if says is None else float(says(config, *about))


def parts_of(config: GPTConfig, name: str, shape: tuple[int, ...]) -> tuple[tuple[str, int], ...]:
    """The layers that a fused matrix holds and the rows of each, in order; any other matrix is one part, "all"."""
    if name.endswith("attention.qkv.weight"):
        kv = config.key_heads * config.head_width
        return ("query", config.heads * config.head_width), ("key", kv), ("value", kv)
    if name.endswith("gate_up.weight"):
        return ("gate", shape[-2] // 2), ("up", shape[-2] // 2)
    return (("all", shape[-2]),)


def fan_in(shape: tuple[int, ...]) -> int:
    """Inputs of a linear layer's weight [..., out, in]; the axes before are experts."""
    return shape[-1]


def writes(name: str) -> bool:
    """Whether a matrix writes to the residual stream."""
    return name.endswith(("attention.out.weight", "mlp.down.weight"))


def reads_tokens(name: str) -> bool:
    """Whether a matrix has a row for each token or position, so that its input is one of many, not a sum."""
    return name.endswith(("embedding.weight", "positions.weight"))
