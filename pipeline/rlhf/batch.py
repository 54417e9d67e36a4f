"""An iteration's replies as tensors. Knows no loss and no actor."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.rlhf.rollout import padded
from pipeline.rlhf.types import Experience


@dataclass
class Batch:
    """An iteration's replies ``[N, T]``; a place t holds token t + 1, given those up to t. The mask is on the reply."""

    tokens: Tensor  # [N, T + 1]
    mask: Tensor
    old_logp: Tensor
    ref_logp: Tensor
    scores: Tensor  # [N]
    values: Tensor
    advantages: Tensor
    returns: Tensor

    @classmethod
    def of(cls, experience: list[Experience], scores: list[float]) -> "Batch":
        prompts = [p.ids for e in experience for p in e.chunk.prompts]
        replies = [r for e in experience for r in e.replies]
        reference = [ref for e in experience for ref in e.reference]
        tokens, lengths = padded(prompts, [r.tokens for r in replies])
        shape = (len(lengths), tokens.shape[1] - 1)
        mask, old, ref = torch.zeros(shape, dtype=torch.bool), torch.zeros(shape), torch.zeros(shape)
        for row, (prompt, length) in enumerate(zip(prompts, lengths, strict=True)):
            place = slice(len(prompt) - 1, length - 1)
            mask[row, place] = True
            old[row, place] = torch.tensor(replies[row].logprobs)
            ref[row, place] = torch.tensor(reference[row])
        empty = torch.zeros(shape)
        return cls(tokens, mask, old, ref, torch.tensor(scores), empty, empty, empty)
