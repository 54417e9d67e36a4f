"""Embedding and output head by rows of the vocabulary, one share a tensor worker, and the cross-entropy over them.

Logits are never whole: a worker has those of its tokens, and the workers exchange three numbers a row.
Letters: N rows (tokens), D width, V vocabulary, v this worker's share of it.
"""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from models.losses import IGNORE
from models.parallel.cuts import share
from models.parallel.tensor import Wire

ROWS = 512  # of a chunk


class Embedding(nn.Module):
    """Tokens [B, T] -> [B, T, D]: a worker looks up its own tokens, and the sum has them all."""

    def __init__(self, whole: nn.Embedding, wire: Wire) -> None:
        super().__init__()
        self.weight, self.wire = whole.weight, wire
        self.first, self.length = share(whole.num_embeddings, wire.size, wire.rank)

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, T] -> [B, T, D]."""
        here = (tokens >= self.first) & (tokens < self.first + self.length)
        found = F.embedding(torch.where(here, tokens - self.first, 0), self.weight)
        return self.wire.sum(found * here[..., None])


class Loss:
    """`models.losses.linear_cross_entropy` where a worker has v rows of the head."""

    def __init__(self, wire: Wire, vocabulary: int, scale: float, cap: float, smoothing: float, z_weight: float):
        self.wire, self.vocabulary = wire, vocabulary
        self.scale, self.cap, self.smoothing, self.z_weight = scale, cap, smoothing, z_weight

    def __call__(self, hidden_ND: Tensor, weight_vD: Tensor, targets_N: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(sum that is descended, counted tokens, summed cross-entropy), the same on every worker."""
        objective, shown = _Function.apply(hidden_ND, weight_vD, targets_N, self)  # type: ignore[no-untyped-call]
        return objective, (targets_N != IGNORE).sum().float(), shown

    def rows(self, x: Tensor, weight: Tensor, targets: Tensor, wanted: bool) -> tuple[Tensor, Tensor, Tensor | None]:
        """(objective, cross-entropy, gradient to the logits before scale and cap [r, v]) of counted rows."""
        first, length = share(self.vocabulary, self.wire.size, self.wire.rank)
        logits = (x @ weight.T).float() * self.scale
        if self.cap:
            logits = self.cap * torch.tanh(logits / self.cap)
        at = targets - first
        here = ((at >= 0) & (at < length)).nonzero()[:, 0]
        own = torch.zeros(3, len(x), device=x.device)
        own[0] = logits.logsumexp(1)
        own[1, here] = logits[here, at[here]]
        own[2] = logits.sum(1)
        every = own.new_empty(self.wire.size * 3, len(x))
        dist.all_gather_single(every, own, group=self.wire.group)
        lse, (target, total) = every[0::3].logsumexp(0), (every[1::3].sum(0), every[2::3].sum(0))
        shown = (lse - target).sum()
        smooth = (lse - total / self.vocabulary).sum()
        objective = (1 - self.smoothing) * shown + self.smoothing * smooth + self.z_weight * lse.square().sum()
        if not wanted:
            return objective, shown, None
        grad = (logits - lse[:, None]).exp_() * (1 + 2 * self.z_weight * lse)[
            :, None
        ] - self.smoothing / self.vocabulary
        grad[here, at[here]] -= 1 - self.smoothing
        if self.cap:
            grad *= 1 - (logits / self.cap).square()
        return objective, shown, grad * self.scale


class _Function(torch.autograd.Function):
    """The gradients are made in the forward pass, chunk of rows by chunk; that of `hidden` is this worker's part."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
        wanted = any(ctx.needs_input_grad)
        kind = hidden.dtype
        if torch.is_autocast_enabled(hidden.device.type):
            kind = torch.get_autocast_dtype(hidden.device.type)
        to_hidden, to_weight = torch.zeros_like(hidden), torch.zeros_like(weight)
        sums = torch.zeros(2, device=hidden.device)
        used = weight.to(kind)
        for rows in torch.split((targets != IGNORE).nonzero()[:, 0], ROWS):
            x = hidden[rows].to(kind)
            objective, shown, grad = loss.rows(x, used, targets[rows], wanted)
            sums += torch.stack([objective, shown])
            if grad is not None:
                to_hidden[rows] = (grad.to(kind) @ used).to(to_hidden.dtype)
                to_weight += grad.T.to(kind) @ x
        ctx.save_for_backward(to_hidden, to_weight)
        return sums[0], sums[1]

    @staticmethod
    def backward(ctx: Any, factor: Tensor, _: Tensor) -> tuple[Tensor, Tensor, None, None]:
        to_hidden, to_weight = ctx.saved_tensors
        return to_hidden * factor, to_weight * factor, None, None
