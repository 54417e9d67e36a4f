"""The names and shapes of a model's state, without its memory. Knows no layout."""

import torch

from models.config import GPTConfig
from models.gpt import GPT


def shapes_of(config: GPTConfig) -> dict[str, torch.Size]:
    """Name -> shape of each tensor in the state of a GPT."""
    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in GPT(config).state_dict().items()}
