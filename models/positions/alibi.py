"""ALiBi (Press, Smith and Lewis 2021, arXiv 2108.12409): attention pays for distance, each head at its own rate."""

import torch
from torch import Tensor

from models.config import GPTConfig
from models.layers import Positions


class Alibi(Positions):
    """`slopes` [H]: what a head takes off a score for each place of distance."""

    biased = True
    slopes: Tensor

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.register_buffer("slopes", torch.tensor(slopes(config.heads)), persistent=False)

    def bias(self, distances: Tensor) -> Tensor:
        """[..., T, S] places -> [..., H, T, S]."""
        return -self.slopes[:, None, None] * distances[..., None, :, :]


def slopes(heads: int) -> list[float]:
    """2^(-8 i / n) for n heads, i from 1, where n is a power of two (section 3 of the paper).

    Else those of the power of two below n, then every other one of the power above: the authors' code.
    """
    below = 1 << (heads.bit_length() - 1)
    made = [2.0 ** (-8.0 * i / below) for i in range(1, below + 1)]
    return made + [2.0 ** (-4.0 * i / below) for i in range(1, 2 * (heads - below), 2)]


def make(config: GPTConfig) -> Positions:
    """The distances of a model."""
    return Alibi(config)
