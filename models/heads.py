"""A GPT body with one number a token: the reward model and the value function. Knows no loss."""

import torch
from torch import Tensor, nn

from models.config import GPTConfig
from models.gpt import GPT
from models.init import named_generator


class ScalarModel(nn.Module):
    """`body` is a whole GPT, so that a trained one's state loads into it; its output head is not used."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.body = GPT(config)
        self.head = nn.Linear(config.width, 1)

    def forward(self, tokens_BT: Tensor, segments_BT: Tensor | None = None) -> Tensor:
        """Values [B, T]: each of the text up to its token. Causal, so right padding changes nothing before it."""
        values: Tensor = self.head(self.body.hidden(tokens_BT, segments_BT=segments_BT)).squeeze(-1)
        return values

    def init_head(self, std: float, seed: int = 0) -> None:
        """Head weights N(0, std^2) keyed by (seed, "head.weight"), bias zero; std 0 starts at the value zero."""
        with torch.no_grad():
            shape, generator = self.head.weight.shape, named_generator(seed, "head.weight")
            self.head.weight.copy_(torch.randn(shape, generator=generator) * std)
            self.head.bias.zero_()
