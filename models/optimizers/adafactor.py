"""Adafactor (Shazeer and Stern 2018, arXiv 1804.04235): second moments of a matrix as a row and a column, no first.

The schedule's rate is the relative step of section 8: a parameter moves by rate x its own root mean square, so take
about 1e-2 where AdamW takes 1e-3. torch.optim.Adafactor is the same up to step 1 / rate^2; from there on it bounds the
rate by 1 / sqrt(step), over any schedule. State: step; row_var and col_var, or variance of a vector.
"""

import math

import torch
from torch import Tensor

from models.optim_config import OptimConfig
from models.optimizers.common import Groups, PerTensor

RATE_POWER = 0.5  # the other half of muP's 1 / width comes from the parameter's own size
BETA2_POWER = -0.8  # beta2 = 1 - step^-0.8 (section 7.2)
TINY = 1e-30  # a gradient of zeros does not divide by zero (epsilon 1, algorithm 4)
SMALLEST = 1e-3  # of a parameter's size, so that zeros can leave (epsilon 2, section 8)
LARGEST = 1.0  # root mean square of an update (d, section 6)


class Adafactor(PerTensor):
    """Algorithm 5 with the rates of section 8. A stack of matrices [E, r, c] is factored matrix by matrix."""

    def update(self, name: str, weight: Tensor, grad: Tensor, state: dict[str, Tensor], lr: float) -> None:
        if "step" not in state:
            state["step"] = torch.zeros(())
        state["step"] += 1
        fresh = float(state["step"]) ** BETA2_POWER  # 1 - beta2
        squares = grad.square()
        if grad.ndim > 1:
            row = _mean(state, "row_var", squares.mean(-1, keepdim=True), fresh)
            column = _mean(state, "col_var", squares.mean(-2, keepdim=True), fresh)
            variance = (row @ column).div_(row.mean(-2, keepdim=True).clamp_(min=TINY))
        else:
            variance = _mean(state, "variance", squares, fresh)
        step = grad * variance.clamp(min=TINY).rsqrt_()
        size = max(SMALLEST, _rms(weight))
        weight.sub_(step, alpha=lr * size / max(1.0, _rms(step) / LARGEST))


def _mean(state: dict[str, Tensor], moment: str, seen: Tensor, fresh: float) -> Tensor:
    """A running mean after what was seen."""
    if moment not in state:
        state[moment] = torch.zeros_like(seen)
    return state[moment].lerp_(seen, fresh)


def _rms(x: Tensor) -> float:
    return float(torch.linalg.vector_norm(x)) / math.sqrt(x.numel())


def make(groups: Groups, config: OptimConfig) -> Adafactor:
    """Groups with their `weight_decay`; the rate is set before each step."""
    return Adafactor(groups, config)
