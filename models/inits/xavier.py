"""Xavier init: N(0, 2 / (fan-in + fan-out)) (Glorot and Bengio 2010, equation 16, in its normal form).

Fused matrices are as many layers as they hold: the fan-out of a part is its own rows. Embeddings have std `init_std`.
"""

import math

from models.config import GPTConfig
from models.init import Rows, fan_in, parts_of, reads_tokens


def first(config: GPTConfig, name: str, shape: tuple[int, ...]) -> float | Rows:
    """Standard deviation of a matrix, or of each part of a fused one."""
    if reads_tokens(name):
        return config.init_std
    return tuple((rows, xavier(fan_in(shape), rows)) for _, rows in parts_of(config, name, shape))


def xavier(inputs: int, outputs: int) -> float:
    """The std that keeps variance, as well as one number can, both forwards and backwards."""
    return math.sqrt(2.0 / (inputs + outputs))
