"""The last stage's loss, of a hidden state and its targets, and what it counted. Knows no stage and no schedule."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.gpt import GPT
from models.losses import linear_cross_entropy
from models.parallel import vocabulary
from models.parallel.tensor import Wire


@dataclass
class Objective:
    """Next-token loss as `pipeline.pretrain` descends it; `tally` sums up (shown loss, weight) of the passes since."""

    smoothing: float = 0.0
    z_weight: float = 0.0
    vocab_chunk: int = 0
    precision: str = "fp32"
    tally: list[Tensor] = field(default_factory=list)

    def cast(self, device: torch.device) -> AbstractContextManager[object]:
        """In what type products are made."""
        return torch.autocast(device.type, torch.bfloat16) if self.precision == "bf16" else nullcontext()

    def __call__(self, model: GPT, wire: Wire | None, hidden_BTD: Tensor, targets_BT: Tensor) -> Tensor:
        """The sum that is descended, of hidden [B, T or T / tensor, D] and targets [B, T]."""
        smoothing, z_weight = (self.smoothing, self.z_weight) if model.training else (0.0, 0.0)
        scale, cap = model.logit_scale, model.config.logit_cap
        with self.cast(hidden_BTD.device):
            if wire is None:
                descended, weight, shown = linear_cross_entropy(
                    hidden_BTD.flatten(0, 1),
                    model.head_weight,
                    targets_BT.flatten(),
                    scale=scale,
                    cap=cap,
                    smoothing=smoothing,
                    z_weight=z_weight,
                    vocab_chunk=self.vocab_chunk,
                )
            else:
                loss = vocabulary.Loss(wire, model.config.vocab_size, scale, cap, smoothing, z_weight)
                hidden_ND = wire.enter(hidden_BTD).flatten(0, 1)
                descended, weight, shown = loss(hidden_ND, model.head_weight, targets_BT.flatten())
        self.tally.append(torch.stack([shown.detach().float(), weight.to(shown.device)]))
        return descended

    def taken(self, device: torch.device) -> Tensor:
        """(shown loss, weight) since the last call; zeros on a worker that has no last stage."""
        total = torch.stack(self.tally).sum(0) if self.tally else torch.zeros(2, device=device)
        self.tally.clear()
        return total
