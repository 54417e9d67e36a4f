"""AdamW with decay on matrices only. Knows no schedule: the caller sets the learning rate of each step."""

import torch
from torch import nn

from models.optim_config import OptimConfig


def make_adamw(model: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101): decay on the blocks' matrices, none on norms, biases and
    embeddings. A tied head is the embedding, and does not decay either."""
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for weight in model.parameters():
        if weight.requires_grad:
            (decayed if weight.ndim >= 2 and id(weight) not in embeddings else kept).append(weight)
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": kept, "weight_decay": 0.0}]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.peak_lr,
        betas=(config.beta1, config.beta2),
        eps=config.eps,
        fused=True,
    )


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set every group's learning rate: the schedule's, whatever a loaded optimiser state says."""
    for group in optimizer.param_groups:
        group["lr"] = lr
