"""Root mean square norm (Zhang and Sennrich 2019, arXiv 1910.07467): no mean is taken away, and there is no bias."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) x weight over the last axis."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D]; in the weight's precision, as bf16 products come from an autocast layer."""
        return F.rms_norm(x.to(self.weight.dtype), self.weight.shape, self.weight, self.eps)


def make(width: int, eps: float, bias: bool) -> nn.Module:
    """An RMS norm of `width` channels; it has no bias, whatever `bias` says."""
    return RMSNorm(width, eps)
