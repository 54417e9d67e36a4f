"""SGD with momentum and decoupled decay (SGDW, arXiv 1711.05101, algorithm 1). State: momentum_buffer."""

from torch import Tensor

from models.optim_config import OptimConfig
from models.optimizers.common import Groups, PerTensor

RATE_POWER = None  # muP's rates for SGD are no power of those for Adam (arXiv 2203.03466, table 8)


class SGD(PerTensor):
    """weight -= lr x (gradient with momentum). Without momentum it has no state."""

    def update(self, name: str, weight: Tensor, grad: Tensor, state: dict[str, Tensor], lr: float) -> None:
        weight.sub_(self.summed(grad, state) if self.config.momentum else grad, alpha=lr)


def make(groups: Groups, config: OptimConfig) -> SGD:
    """Groups with their `weight_decay`; the rate is set before each step."""
    return SGD(groups, config)
