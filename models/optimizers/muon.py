"""Muon (Jordan 2024, kellerjordan.github.io/posts/muon): each matrix moves by its momentum, made orthogonal.

The blocks' matrices are turned; embeddings, head, norms and biases go by AdamW. An update's root mean square is that of
AdamW's, about 0.2, so that AdamW's rate and decay carry over (Liu 2025, arXiv 2502.16982, section 2.2).
State: momentum_buffer of a turned matrix; step, exp_avg, exp_avg_sq of the rest.
"""

import math
from typing import Any

import torch
from torch import Tensor

from models.optim_config import OptimConfig
from models.optimizers import adamw
from models.optimizers.common import Groups, PerTensor

RATE_POWER = 0.5  # an orthogonal step's largest singular value grows as sqrt(width) at one rms, Adam's as width
RMS = 0.2
STEPS = 5
QUINTIC = (3.4445, -4.7750, 2.0315)  # after five steps singular values lie between about 0.7 and 1.2 (Jordan 2024)


class Muon(PerTensor):
    """Turns the groups of kind `muon`; torch's AdamW steps the others, over the same groups and the same state."""

    def __init__(self, groups: Groups, config: OptimConfig) -> None:
        super().__init__(groups, config)
        others = [group for group in self.param_groups if not self.takes(group)]
        self._others = adamw.make(others, config) if others else None

    def takes(self, group: dict[str, Any]) -> bool:
        return bool(group["kind"] == "muon")

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        super().step()
        if self._others is not None:
            self._others.state = self.state  # anew each time: loading a state replaces it
            self._others.param_groups = [group for group in self.param_groups if not self.takes(group)]
            self._others.step()

    def update(self, name: str, weight: Tensor, grad: Tensor, state: dict[str, Tensor], lr: float) -> None:
        turned = matrices(name, self.summed(grad, state))
        for piece, way in zip(matrices(name, weight), turned, strict=True):
            piece.sub_(orthogonal(way), alpha=lr * RMS * math.sqrt(max(piece.shape)))


def matrices(name: str, weight: Tensor) -> list[Tensor]:
    """The matrices that stand in one weight [rows, columns] or [experts, rows, columns], as views of it."""
    rows, columns = weight.shape[-2:]
    cuts = [rows]
    if name.endswith("qkv.weight"):  # a query for each channel, fewer keys and values where heads share them
        cuts = [columns, (rows - columns) // 2, (rows - columns) // 2]
    elif name.endswith("gate_up.weight"):
        cuts = [rows // 2, rows // 2]
    stack = weight.unbind() if weight.ndim > 2 else [weight]
    return [piece for matrix in stack for piece in torch.split(matrix, cuts)]


def orthogonal(matrix: Tensor) -> Tensor:
    """U V' of a matrix U S V' [r, c], nearly: a quintic that draws the singular values to about 1.

    Newton-Schulz iteration in float32: bfloat16 would be rounder and on most CPUs no faster. Matrix by matrix: torch's
    batched product is slower on a CPU (measured: 1.1 to 4 x).
    """
    a, b, c = QUINTIC
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).float()  # the smaller Gram matrix
    x = x / (torch.linalg.matrix_norm(x) + 1e-7)
    for _ in range(STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.T if tall else x).to(matrix.dtype)


def make(groups: Groups, config: OptimConfig) -> Muon:
    """Groups with `kind`, `names` and `weight_decay`; the rate is set before each step."""
    return Muon(groups, config)
