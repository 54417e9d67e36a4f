"""muP for Adam: rates and sizes that do not move with the width (Yang and others 2022, arXiv 2203.03466, table 8).

m = width / `base_width`; at m = 1 it is init `small` but for the attention. Hidden matrices: variance ~ 1 / fan-in,
rate / m. Embeddings, norms, biases: size and rate stay. Head: size and rate stay, logits / m; so a tied head is no
exception. Attention: query x key x 8 / head_width, which is the usual 1 / sqrt(head_width) at 64. A router's few
outputs are drawn by 1 / sqrt(m) smaller (table 3, output weights). The feed-forward layer has to grow with the width.
Decay x m on hidden matrices, as AdamW multiplies it with the rate (the authors' package mup, MuAdamW).
"""

import math

from models.config import GPTConfig
from models.init import fan_in, reads_tokens, writes

HEAD_WIDTH = 64  # at which the attention is as without


def first(config: GPTConfig, name: str, shape: tuple[int, ...]) -> float:
    """Standard deviation of a matrix."""
    std = hidden_std(config, name, shape)
    return std / math.sqrt(2 * config.layers) if writes(name) else std


def hidden_std(config: GPTConfig, name: str, shape: tuple[int, ...]) -> float:
    """Standard deviation without regard to the depth."""
    if reads_tokens(name):
        return config.init_std
    std = math.sqrt(0.4 / fan_in(shape))
    if name.endswith("head.weight"):
        return std * math.sqrt(times(config))
    return std / math.sqrt(times(config)) if name.endswith("router.weight") else std


def times(config: GPTConfig) -> float:
    """m: how many times the base width."""
    return config.width / config.base_width


def hidden(name: str, shape: tuple[int, ...]) -> bool:
    """Whether both sides of a matrix grow with the width; a router's only one, but its rate is a hidden matrix's."""
    return len(shape) > 1 and not name.endswith(("bias", "head.weight")) and not reads_tokens(name)


def lr_scale(config: GPTConfig, name: str, shape: tuple[int, ...]) -> float:
    """Learning rate / the schedule's."""
    return 1.0 / times(config) if hidden(name, shape) else 1.0


def decay_scale(config: GPTConfig, name: str, shape: tuple[int, ...]) -> float:
    """Weight decay / the config's; times the rate it is the same at each width."""
    return times(config) if hidden(name, shape) else 1.0


def attention_scale(config: GPTConfig) -> float:
    """1 / head_width in the place of 1 / sqrt(head_width): queries and keys come to agree as they train."""
    return math.sqrt(HEAD_WIDTH / config.head_width)


def logit_scale(config: GPTConfig) -> float:
    """Hidden state and head come to agree, too."""
    return 1.0 / times(config)
