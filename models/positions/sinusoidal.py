"""Sinusoidal positions (Vaswani and others 2017, arXiv 1706.03762, section 3.5): fixed waves, added to the token.

The paper multiplies embeddings by sqrt(width), up to the waves' size; here the waves are scaled to the embedding's
first size, `init_std`, which leaves the output head and the inits of other widths as they are.
"""

import math

import torch
from torch import Tensor

from models.config import GPTConfig
from models.layers import Positions, Where

LONGEST = 10000.0  # its wave is so many times longer than the shortest, 2 pi places


class Sinusoidal(Positions):
    """A table [context, D] that is not trained: sines of even channels, cosines of odd ones."""

    absolute = True
    table: Tensor

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        rates = LONGEST ** (-torch.arange(0, config.width, 2, dtype=torch.float64) / config.width)
        angles = torch.outer(torch.arange(config.context, dtype=torch.float64), rates)
        waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, : config.width]
        size = math.sqrt(2) * config.init_std  # a wave's root mean square is 1 / sqrt(2)
        self.register_buffer("table", (size * waves).float(), persistent=False)

    def offset(self, places: Where) -> Tensor:
        """[..., T, D]."""
        return self.table[places]


def make(config: GPTConfig) -> Positions:
    """The sinusoidal positions of a model."""
    return Sinusoidal(config)
