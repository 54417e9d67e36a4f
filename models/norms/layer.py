"""Layer norm (Ba, Kiros and Hinton 2016, arXiv 1607.06450): mean zero and variance one over the channels of a place."""

from torch import nn


def make(width: int, eps: float, bias: bool) -> nn.Module:
    """A layer norm of `width` channels, [..., D] -> [..., D]."""
    return nn.LayerNorm(width, eps, bias=bias)
