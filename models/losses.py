"""Losses as (sum, weight) pairs: shards add both, and the one division comes after the last sum. Knows no model."""

import torch.nn.functional as F
from torch import Tensor

IGNORE = -100  # a target that is not counted


def next_token_sum(logits_BTV: Tensor, targets_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Summed cross-entropy in nats, and the number of counted tokens (float). Targets of -100 are not counted."""
    loss = F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten(), ignore_index=IGNORE, reduction="sum")
    return loss, (targets_BT != IGNORE).sum().float()


def bradley_terry_sum(chosen_B: Tensor, rejected_B: Tensor) -> tuple[Tensor, Tensor]:
    """Summed -log sigmoid(chosen - rejected), and the number of pairs (Bradley and Terry 1952)."""
    loss = -F.logsigmoid(chosen_B - rejected_B).sum()
    return loss, chosen_B.new_tensor(float(len(chosen_B)))
