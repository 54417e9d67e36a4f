"""AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), torch's fused kernel. State: step, exp_avg, exp_avg_sq."""

import torch

from models.optim_config import OptimConfig
from models.optimizers.common import Groups

RATE_POWER = 1.0


def make(groups: Groups, config: OptimConfig) -> torch.optim.AdamW:
    """Groups with their `weight_decay`; the rate is set before each step."""
    return torch.optim.AdamW(groups, lr=config.peak_lr, betas=(config.beta1, config.beta2), eps=config.eps, fused=True)
