"""Expert parallelism (GShard: Lepikhin 2020, arXiv 2006.16668): a worker has some experts of every sparse layer.

Tokens go to their experts' workers by an all-to-all, and what the experts made comes back by another. Within an expert,
tensor workers have some of its hidden channels, as in a dense layer. The router is whole on every worker. Routing,
capacity and the balance loss are those of the rows that one worker sees in one pass.
"""

from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from models.config import GATED, GPTConfig
from models.gpt import GPT
from models.layers import activate
from models.parallel.tensor import Wire
from models.parts import part

if TYPE_CHECKING:
    from models.mlps.experts import Experts
else:
    Experts = part("mlps", "experts").Experts


class SplitExperts(Experts):
    """Experts of which a worker has count / size, and of each hidden / tensor channels."""

    def __init__(self, config: GPTConfig, group: dist.ProcessGroup | None, wire: Wire | None) -> None:
        super().__init__(config)
        self.group, self.wire = group, wire
        self.workers = group.size() if group is not None else 1

    def forward(self, x_BTD: Tensor) -> Tensor:
        """[B, T or T / tensor, D] -> the same; the router sees all places, as without tensor workers."""
        if self.wire is None:
            return super().forward(x_BTD)
        return self.wire.narrow(super().forward(self.wire.widen(x_BTD)))

    def _made(self, x_PD: Tensor, counts: list[int]) -> Tensor:
        """What the experts, wherever they are, make of this worker's tokens, which lie in x expert by expert."""
        if self.group is None or self.workers == 1:
            return self._here(x_PD, counts)
        each = self.config.count // self.workers
        sent = torch.tensor(counts, device=x_PD.device)
        got = torch.empty_like(sent)
        dist.all_to_all_single(got, sent, group=self.group)  # [worker, expert], how many tokens come
        sends, gets = sent.view(-1, each).sum(1).tolist(), got.view(-1, each).sum(1).tolist()
        came: Tensor = _Exchange.apply(x_PD, gets, sends, self.group)  # type: ignore[no-untyped-call]
        order = torch.arange(each, device=x_PD.device).repeat(self.workers).repeat_interleave(got).argsort(stable=True)
        made = self._here(came.index_select(0, order), got.view(-1, each).sum(0).tolist())
        made = torch.zeros_like(made).index_copy(0, order, made)
        back: Tensor = _Exchange.apply(made, sends, gets, self.group)  # type: ignore[no-untyped-call]
        return back

    def _here(self, x_PD: Tensor, counts: list[int]) -> Tensor:
        """What this worker's experts make of the tokens that came."""
        x_PD = x_PD if self.wire is None else self.wire.copy(x_PD)
        inner = (self.gate_up if self.activation in GATED else self.up).each()
        made = [x_PD[:0]]  # so that a worker to which no token came takes part in the backward pass
        for x, into, (weight, _) in zip(torch.split(x_PD, counts), inner, self.down.each(), strict=True):
            if len(x):
                made.append(F.linear(activate(self.activation, F.linear(x, *into)), weight))
        out = torch.cat(made)
        out = out if self.wire is None else self.wire.sum(out)
        bias = self.down.bias
        return out if bias is None else out + bias.repeat_interleave(torch.tensor(counts, device=bias.device), 0)


class _Exchange(torch.autograd.Function):
    """All-to-all of rows; the gradient goes the other way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gets: list[int], sends: list[int], group: dist.ProcessGroup) -> Tensor:
        ctx.sizes, ctx.group = (sends, gets), group
        return exchanged(x, gets, sends, group)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        gets, sends = ctx.sizes
        return exchanged(grad, gets, sends, ctx.group), None, None, None


def exchanged(x: Tensor, gets: list[int], sends: list[int], group: dist.ProcessGroup) -> Tensor:
    """sends[i] rows of x to worker i; gets[j] rows from each worker j, in order of j."""
    out = x.new_empty(sum(gets), *x.shape[1:])
    dist.all_to_all_single(out, x.contiguous(), gets, sends, group=group)
    return out


def split(model: GPT, group: dist.ProcessGroup | None, wire: Wire | None) -> None:
    """Give a model's sparse layers to expert and tensor workers. Its parameters are this worker's once filled."""
    for block in model.blocks:
        if isinstance(block.mlp, Experts):
            block.mlp = SplitExperts(model.config, group, wire)
