"""No norm: for inits that keep the residual stream in bounds without one (T-Fixup)."""

from torch import nn


def make(width: int, eps: float, bias: bool) -> nn.Module:
    """What comes in goes out."""
    return nn.Identity()
