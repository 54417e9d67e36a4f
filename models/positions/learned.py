"""Learned positions: a trained vector for each place, added to the token's (Gehring 2017, arXiv 1705.03122; GPT-2)."""

import torch
from torch import Tensor, nn

from models.config import GPTConfig
from models.layers import Positions, Where


class Learned(Positions):
    """`weight` [context, D]."""

    absolute = True

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(config.context, config.width))  # as nn.Embedding begins

    def offset(self, places: Where) -> Tensor:
        """[..., T, D]."""
        return self.weight[places]


def make(config: GPTConfig) -> Positions:
    """The learned positions of a model."""
    return Learned(config)
