"""Batch normalisation over rows and places (Ioffe and Szegedy 2015, arXiv 1502.03167).

Not causal in training: the statistics are those of all B x T positions of a shard (or of its micro-batch), so that a
token's output depends on later tokens and on other rows, and the training loss is lower than it may be. In evaluation
it uses running statistics, which no token of the text can change: the held-out loss is the honest one. Knows no shards
and no members: the running statistics are of all shards of a step, and come through the Observer protocol of
models/step.py, so that their bits do not depend on who computed which shard.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MOMENTUM = 0.1  # share of the newest step in the running statistics; the first ten steps count alike


class BatchNorm(nn.Module):
    """(x - mean) / sqrt(variance + eps) x weight + bias, for each channel over all positions.

    `observed` [2 D + 1]: sums of x - running mean and of its square (about the running mean, so that a large mean does
    not swallow a small variance), and their number.
    """

    running_mean: Tensor
    running_var: Tensor
    steps: Tensor

    def __init__(self, width: int, eps: float, bias: bool) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))
        self.register_buffer("steps", torch.zeros(()))
        self.observed: Tensor | None = None
        self.observed_size = 2 * width + 1

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D]. Raises ValueError for a single position in training: it has no variance."""
        flat = x.reshape(-1, x.shape[-1])
        if not self.training:
            return F.batch_norm(
                flat, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            ).view_as(x)
        with torch.no_grad():
            far = flat.float() - self.running_mean
            self.observed = torch.cat([far.sum(0), far.square().sum(0), far.new_tensor([len(far)])])
        return F.batch_norm(flat, None, None, self.weight, self.bias, training=True, eps=self.eps).view_as(x)

    def absorb(self, total: Tensor) -> None:
        """A step's sums into the running statistics; the variance is the unbiased one, as in torch."""
        first, second = total[:-1].chunk(2)
        count = total[-1]
        far = first / count
        variance = (second - first * far).clamp(min=0.0) / (count - 1.0).clamp(min=1.0)
        share = max(MOMENTUM, 1.0 / (float(self.steps) + 1.0))
        self.running_mean += share * far
        self.running_var.lerp_(variance, share)
        self.steps += 1.0


def make(width: int, eps: float, bias: bool) -> nn.Module:
    """A batch norm of `width` channels."""
    return BatchNorm(width, eps, bias)
