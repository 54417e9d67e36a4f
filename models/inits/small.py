"""Small init: N(0, 2 / (5 fan-in)) (Nguyen and Salazar 2019, arXiv 1910.05895, as GPT-NeoX has it).

Matrices that write to the residual stream are divided by sqrt(2 layers) (GPT-2); embeddings have std `init_std`, as the
embedding is the head too.
"""

import math

from models.config import GPTConfig
from models.init import fan_in, reads_tokens, writes


def first(config: GPTConfig, name: str, shape: tuple[int, ...]) -> float:
    """Standard deviation of a matrix."""
    if reads_tokens(name):
        return config.init_std
    std = math.sqrt(0.4 / fan_in(shape))
    return std / math.sqrt(2 * config.layers) if writes(name) else std
