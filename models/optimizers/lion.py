"""Lion (Chen 2023, arXiv 2302.06675, algorithm 2): the sign of a mean that leans to the newest gradient.

Its step is as large as the rate, whatever the gradient: take a rate 3 to 10 times below AdamW's and a decay as many
times above, beta2 0.98 or 0.99 (section 5). State: exp_avg.
"""

import torch
from torch import Tensor

from models.optim_config import OptimConfig
from models.optimizers.common import Groups, PerTensor

RATE_POWER = 1.0  # a sign grows with width as Adam's step does


class Lion(PerTensor):
    """weight -= lr x sign(beta1 x mean + (1 - beta1) x gradient); then mean = beta2 x mean + (1 - beta2) x gradient."""

    def update(self, name: str, weight: Tensor, grad: Tensor, state: dict[str, Tensor], lr: float) -> None:
        if "exp_avg" not in state:
            state["exp_avg"] = torch.zeros_like(grad)
        mean = state["exp_avg"]
        weight.sub_(mean.lerp(grad, 1 - self.config.beta1).sign_(), alpha=lr)
        mean.lerp_(grad, 1 - self.config.beta2)


def make(groups: Groups, config: OptimConfig) -> Lion:
    """Groups with their `weight_decay`; the rate is set before each step."""
    return Lion(groups, config)
