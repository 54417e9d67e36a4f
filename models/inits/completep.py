"""CompleteP: muP, and rates that do not move with the depth either (Dey and others 2025, arXiv 2505.01618, table 1).

Beside muP, with l = layers / `base_layers` and the paper's alpha = 1: branches / l; what writes to the residual stream
is drawn as at the base depth; rates of blocks x l^(alpha - 1) = 1, so they stay; Adam's eps / (m l) in blocks, / m
outside of them. Decay is muP's. At the base shape it is muP.
"""

import math

from models.config import GPTConfig
from models.init import writes
from models.inits.mup import attention_scale, decay_scale, hidden_std, logit_scale, lr_scale, times

__all__ = ["attention_scale", "branch_scale", "decay_scale", "eps_scale", "first", "logit_scale", "lr_scale"]


def first(config: GPTConfig, name: str, shape: tuple[int, ...]) -> float:
    """Standard deviation of a matrix."""
    std = hidden_std(config, name, shape)
    return std / math.sqrt(2 * config.base_layers) if writes(name) else std


def branch_scale(config: GPTConfig) -> float:
    """What a branch adds, so that all of them together add the same at each depth."""
    return config.base_layers / config.layers


def eps_scale(config: GPTConfig, name: str, shape: tuple[int, ...]) -> float:
    """Adam's eps / the config's: gradients shrink with the width, and those of blocks with the depth."""
    return (branch_scale(config) if "blocks." in name else 1.0) / times(config)
