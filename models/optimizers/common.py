"""What optimisers that are one formula a tensor share: the walk over the tensors, and decoupled decay."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from models.optim_config import OptimConfig

Groups = list[dict[str, Any]]


class PerTensor(torch.optim.Optimizer, ABC):
    """weight x (1 - lr x decay), then the subclass's `update`. Hyper-parameters stay with the config, not the state."""

    def __init__(self, groups: Groups, config: OptimConfig) -> None:
        super().__init__(groups, {"lr": config.peak_lr})
        self.config = config

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step along the gradients that are there."""
        for group in self.param_groups:
            for weight, name in zip(group["params"], group["names"], strict=True):
                if weight.grad is not None and self.takes(group):
                    if group["weight_decay"]:
                        weight.mul_(1 - group["lr"] * group["weight_decay"])
                    self.update(name, weight, weight.grad, self.state[weight], group["lr"])

    def takes(self, group: dict[str, Any]) -> bool:
        """Whether a group is stepped by `update`."""
        return True

    @abstractmethod
    def update(self, name: str, weight: Tensor, grad: Tensor, state: dict[str, Tensor], lr: float) -> None:
        """Change a weight by its gradient, and its state, in place."""

    def summed(self, grad: Tensor, state: dict[str, Tensor]) -> Tensor:
        """The gradient with momentum: momentum_buffer = momentum x momentum_buffer + gradient, looked ahead where asked
        (Nesterov's, as Sutskever 2013 writes it)."""
        momentum = self.config.momentum
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(grad)
        buffer = state["momentum_buffer"].mul_(momentum).add_(grad)
        return grad.add(buffer, alpha=momentum) if self.config.nesterov else buffer
