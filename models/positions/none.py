"""No positions: causal attention alone tells the order (Haviv and others 2022, arXiv 2203.16634)."""

from models.config import GPTConfig
from models.layers import Positions


def make(config: GPTConfig) -> Positions:
    """Nothing, at each place."""
    return Positions()
