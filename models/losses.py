"""Losses as (sum, weight) pairs: shards add both, and the one division comes after the last sum. Knows no model.

Letters: N rows (tokens), D width, V vocabulary.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

IGNORE = -100  # a target that is not counted
CHUNK = 1 << 20  # logits of a chunk: 4 MB in float32 stay near the core (measured: 0.5 to 2 M are alike, 8 M is 1.5 x)
FEWEST_ROWS = 128  # of a chunk: with fewer, reading the head's weight takes longer than multiplying with it


def next_token_sum(logits_BTV: Tensor, targets_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Summed cross-entropy in nats, and the number of counted tokens (float). Targets of -100 are not counted."""
    loss = F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten(), ignore_index=IGNORE, reduction="sum")
    return loss, (targets_BT != IGNORE).sum().float()


def bradley_terry_sum(chosen_B: Tensor, rejected_B: Tensor) -> tuple[Tensor, Tensor]:
    """Summed -log sigmoid(chosen - rejected), and the number of pairs (Bradley and Terry 1952)."""
    loss = -F.logsigmoid(chosen_B - rejected_B).sum()
    return loss, chosen_B.new_tensor(float(len(chosen_B)))


def linear_cross_entropy(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    targets_N: Tensor,
    *,
    scale: float = 1.0,
    cap: float = 0.0,
    smoothing: float = 0.0,
    z_weight: float = 0.0,
    vocab_chunk: int = 0,
    row_chunk: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """(sum that is descended, counted tokens, summed cross-entropy in nats) of an output head whose logits never stand
    whole in memory.

    logits = scale x hidden @ weight.T, then cap x tanh(logits / cap) where there is a cap (Gemma 2, arXiv 2408.00118).
    A counted token's part of the first sum is (1 - smoothing) x cross-entropy + smoothing x the mean of -log p over the
    vocabulary (Szegedy 2015, arXiv 1512.00567) + z_weight x logsumexp(logits)^2 (PaLM, arXiv 2204.02311, section 5).
    Only that sum has a gradient. It is made in the forward pass, chunk of rows by chunk of rows, while the logits are
    in the cache (as in Liger, arXiv 2410.10989). With `vocab_chunk` columns at a time the logits are computed twice:
    once for their logsumexp, once for the gradient. Under autocast products are in its type, all else in float32.
    """
    head = _Head(scale, cap, smoothing, z_weight, vocab_chunk, row_chunk)
    if torch.is_grad_enabled():
        objective, shown = _LinearCrossEntropy.apply(hidden_ND, weight_VD, targets_N, head)  # type: ignore[no-untyped-call]
    else:
        objective, shown = head.sums(hidden_ND, weight_VD, targets_N, None, None)
    return objective, (targets_N != IGNORE).sum().float(), shown


class _LinearCrossEntropy(torch.autograd.Function):
    """(hidden, weight, targets, head) -> (objective, shown); the gradients wait in the context for their factor."""

    @staticmethod
    def forward(
        ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, head: "_Head"
    ) -> tuple[Tensor, Tensor]:
        made = [
            torch.zeros_like(x, dtype=_exact(x.dtype)) if needed else None
            for x, needed in zip((hidden_ND, weight_VD), ctx.needs_input_grad[:2], strict=True)
        ]
        objective, shown = head.sums(hidden_ND, weight_VD, targets_N, *made)
        ctx.mark_non_differentiable(shown)
        ctx.save_for_backward(*made)
        ctx.types = hidden_ND.dtype, weight_VD.dtype
        return objective, shown

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, factor: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        one = bool(factor == 1)
        made = (None if g is None else (g if one else g * factor) for g in ctx.saved_tensors)
        return *(None if g is None else g.to(kind) for g, kind in zip(made, ctx.types, strict=True)), None, None


@dataclass(frozen=True)
class _Head:
    """What is done with the logits, and how many of them stand in memory at a time."""

    scale: float
    cap: float
    smoothing: float
    z_weight: float
    vocab_chunk: int
    row_chunk: int

    def sums(
        self,
        hidden_ND: Tensor,
        weight_VD: Tensor,
        targets_N: Tensor,
        to_hidden_ND: Tensor | None,
        to_weight_VD: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """(objective, cross-entropy) of the counted rows; their gradients are added to the buffers that are given."""
        device, kind = hidden_ND.device, hidden_ND.dtype
        if torch.is_autocast_enabled(device.type):
            kind = torch.get_autocast_dtype(device.type)
        hidden_ND, weight_VD = hidden_ND.detach(), weight_VD.detach().to(kind)
        columns = min(self.vocab_chunk or len(weight_VD), len(weight_VD))
        height = self.row_chunk or max(FEWEST_ROWS, CHUNK // columns)
        counted = torch.split((targets_N != IGNORE).nonzero()[:, 0], height)
        buffer = torch.empty(len(counted[0]), columns, dtype=_exact(kind), device=device)
        sums = buffer.new_zeros(2)
        for rows in counted:
            x_rD, y_r = hidden_ND[rows].to(kind), targets_N[rows]
            to_x = None if to_hidden_ND is None else torch.zeros_like(x_rD, dtype=_exact(kind))
            sums += self._rows(x_rD, y_r, weight_VD, buffer[: len(rows)], to_x, to_weight_VD)
            if to_hidden_ND is not None and to_x is not None:
                to_hidden_ND[rows] = to_x.to(to_hidden_ND.dtype)
        return sums[0], sums[1]

    def _rows(
        self,
        x_rD: Tensor,
        y_r: Tensor,
        weight_VD: Tensor,
        buffer: Tensor,
        to_x: Tensor | None,
        to_weight: Tensor | None,
    ) -> Tensor:
        """(objective, cross-entropy) of a chunk of rows: over the vocabulary for logsumexp, and again for gradients."""
        V, columns = len(weight_VD), buffer.shape[1]
        lse_r = torch.full_like(buffer[:, 0], -torch.inf)
        target_r, total_r = torch.zeros_like(lse_r), torch.zeros_like(lse_r)
        for first in range(0, V, columns):
            z_rc = self._logits(x_rD, weight_VD[first : first + columns], buffer)
            lse_r = torch.logaddexp(lse_r, z_rc.logsumexp(1))
            rows, places = _here(y_r, first, z_rc)
            target_r[rows] = z_rc[rows, places]
            if self.smoothing:
                total_r += z_rc.sum(1)
        for first in range(0, V, columns) if to_x is not None or to_weight is not None else ():
            weight_cD = weight_VD[first : first + columns]
            if columns < V:
                z_rc = self._logits(x_rD, weight_cD, buffer)
            g_rc = self._gradient(z_rc, lse_r, y_r, first, V)
            if to_x is not None:
                _add_product(to_x, g_rc, weight_cD, self.scale)
            if to_weight is not None:
                _add_product(to_weight[first : first + columns], g_rc.T, x_rD, self.scale)
        shown = (lse_r - target_r).sum()
        smooth = (lse_r - total_r / V).sum() if self.smoothing else shown
        objective = (1 - self.smoothing) * shown + self.smoothing * smooth + self.z_weight * lse_r.square().sum()
        return torch.stack([objective, shown])

    def _logits(self, x_rD: Tensor, weight_cD: Tensor, buffer: Tensor) -> Tensor:
        """[r, c], in the buffer."""
        z_rc = _add_product(buffer[:, : len(weight_cD)], x_rD, weight_cD.T, self.scale, keep=False)
        return z_rc.div_(self.cap).tanh_().mul_(self.cap) if self.cap else z_rc

    def _gradient(self, z_rc: Tensor, lse_r: Tensor, y_r: Tensor, first: int, V: int) -> Tensor:
        """The objective's gradient to the logits before cap, of columns `first`, ...; it takes the logits' place."""
        slope_rc = (z_rc / self.cap).square_().neg_().add_(1) if self.cap else None
        g_rc = z_rc.sub_(lse_r[:, None]).exp_()
        if self.z_weight:
            g_rc.mul_((1 + 2 * self.z_weight * lse_r)[:, None])
        if self.smoothing:
            g_rc.sub_(self.smoothing / V)
        g_rc[_here(y_r, first, g_rc)] -= 1 - self.smoothing
        return g_rc if slope_rc is None else g_rc.mul_(slope_rc)


def _here(y_r: Tensor, first: int, z_rc: Tensor) -> tuple[Tensor, Tensor]:
    """(row, column) of the targets that are among the columns `first`, ..."""
    rows = ((y_r >= first) & (y_r < first + z_rc.shape[1])).nonzero()[:, 0]
    return rows, y_r[rows] - first


def _add_product(to: Tensor, a: Tensor, b: Tensor, scale: float, keep: bool = True) -> Tensor:
    """scale x a @ b, added to what is there or in its place; the product is made in b's type."""
    if to.dtype == b.dtype:
        return to.addmm_(a, b, alpha=scale, beta=int(keep))
    made = a.to(b.dtype) @ b
    return to.add_(made, alpha=scale) if keep else to.copy_(made).mul_(scale)


def _exact(kind: torch.dtype) -> torch.dtype:
    """The type of sums: float32, or float64 where a test asks for it."""
    return torch.promote_types(kind, torch.float32)
