"""T-Fixup: first weights of a model without norms that needs no warmup (Huang and others 2020, ICML, section 3.2).

Xavier everywhere, N(0, 1 / width) for embeddings, which the model multiplies with sqrt(width); then values, attention's
output and the feed-forward matrices x 0.67 N^(-1/4) over N layers, and embeddings x (9 N)^(-1/4). The factor is the
paper's for its encoder, whose layers have two residual branches, as a decoder-only model's have; its decoder's layers
have three. Its code draws queries and keys by 1 / sqrt(2) smaller; ours follows the text.
"""

import math

from models.config import GPTConfig
from models.init import Rows, fan_in, parts_of, reads_tokens
from models.inits.xavier import xavier

PLAIN = ("query", "key")


def first(config: GPTConfig, name: str, shape: tuple[int, ...]) -> float | Rows:
    """Standard deviation of a matrix, or of each part of a fused one."""
    if reads_tokens(name):
        return 1.0 / math.sqrt(config.width * math.sqrt(9 * config.layers))  # (9 N)^(-1/4) / sqrt(width)
    if name.endswith("head.weight"):
        return 1.0 / math.sqrt(config.width)
    branch = 1.0 if name.endswith("router.weight") else 0.67 / config.layers**0.25
    return tuple(
        (rows, xavier(fan_in(shape), rows) * (1.0 if part in PLAIN else branch))
        for part, rows in parts_of(config, name, shape)
    )


def embedding_scale(config: GPTConfig) -> float:
    """Token embeddings enter with their length, not with their numbers' size (Vaswani and others 2017, section 3.4)."""
    return math.sqrt(config.width)
