"""Tensor and sequence parallelism (Shoeybi 2019, arXiv 1909.08053; Korthikanti 2022, arXiv 2205.05198).

Each worker has some heads and some hidden channels of every block. What reads the residual stream is cut by rows, what
writes to it by columns, and the workers' parts are summed: once a branch in the forward pass, once in the backward.
With `sequence` the stream between the branches, its norms too, is cut by places; the sums become a reduce-scatter, and
an all-gather stands before the next branch: the same bytes, less memory.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import Attention
from models.gpt import GPT
from models.layers import MLP
from models.parallel.cuts import Shape, of_expert


@dataclass(frozen=True)
class Wire:
    """How the tensor workers of one place in the pipeline reach each other. Streams are [B, T or T / size, D]."""

    group: dist.ProcessGroup
    rank: int
    size: int
    sequence: bool

    def enter(self, x: Tensor) -> Tensor:
        """The stream, whole, on its way into cut layers; each worker gives back a part of its gradient."""
        out: Tensor = (_Gather if self.sequence else _Copy).apply(x, self, True)  # type: ignore[no-untyped-call]
        return out

    def leave(self, x: Tensor) -> Tensor:
        """The sum of the workers' parts of what goes to the stream."""
        return self._cut(x, True) if self.sequence else self.sum(x)

    def copy(self, x: Tensor) -> Tensor:
        """x itself, whose gradient is the sum of the workers' parts; any shape."""
        out: Tensor = _Copy.apply(x, self, True)  # type: ignore[no-untyped-call]
        return out

    def sum(self, x: Tensor) -> Tensor:
        """The sum of the workers' x; any shape."""
        out: Tensor = _Sum.apply(x, self)  # type: ignore[no-untyped-call]
        return out

    def narrow(self, x: Tensor) -> Tensor:
        """This worker's places of a stream that all have."""
        return self._cut(x, False) if self.sequence else x

    def widen(self, x: Tensor) -> Tensor:
        """All places of a stream; every worker gives back the whole of its gradient."""
        out: Tensor = _Gather.apply(x, self, False) if self.sequence else x  # type: ignore[no-untyped-call]
        return out

    def _cut(self, x: Tensor, partial: bool) -> Tensor:
        out: Tensor = _Cut.apply(x, self, partial)  # type: ignore[no-untyped-call]
        return out

    # without gradients

    def summed(self, x: Tensor) -> Tensor:
        """All-reduce."""
        x = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(x, group=self.group)
        return x

    def own(self, x: Tensor) -> Tensor:
        """This worker's places."""
        return x.chunk(self.size, 1)[self.rank].contiguous()

    def gathered(self, x: Tensor) -> Tensor:
        """All places, by an all-gather."""
        parts = x.new_empty(self.size * x.shape[0], *x.shape[1:])
        dist.all_gather_single(parts, x.contiguous(), group=self.group)
        return torch.cat(parts.chunk(self.size, 0), 1)

    def scattered(self, x: Tensor) -> Tensor:
        """The sum at this worker's places, by a reduce-scatter."""
        out = x.new_empty(x.shape[0], x.shape[1] // self.size, *x.shape[2:])
        dist.reduce_scatter_single(out, torch.cat(x.chunk(self.size, 1), 0), group=self.group)
        return out


class _Copy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, wire: Wire, _: bool) -> Tensor:
        ctx.wire = wire
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return ctx.wire.summed(grad), None, None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, wire: Wire) -> Tensor:
        return wire.summed(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, wire: Wire, partial: bool) -> Tensor:
        ctx.wire, ctx.partial = wire, partial
        return wire.gathered(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return (ctx.wire.scattered(grad) if ctx.partial else ctx.wire.own(grad)), None, None


class _Cut(torch.autograd.Function):
    """This worker's places, of the workers' sum where each has a part."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, wire: Wire, partial: bool) -> Tensor:
        ctx.wire = wire
        return wire.scattered(x) if partial else wire.own(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return ctx.wire.gathered(grad), None, None


class Row(nn.Module):
    """A linear layer's columns of one worker: this worker's channels -> stream. The bias is added once, to the sum."""

    def __init__(self, whole: nn.Linear, wire: Wire) -> None:
        super().__init__()
        self.weight, self.bias, self.wire = whole.weight, whole.bias, wire

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, in / size] -> [B, T or T / size, D]."""
        out = self.wire.leave(F.linear(x, self.weight))
        return out if self.bias is None else out + self.bias


def split(model: GPT, wire: Wire) -> None:
    """Give a model's dense layers to tensor workers. Its parameters become this worker's when they are filled."""

    def enter(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return wire.enter(args[0]), *args[1:]

    for block in model.blocks:
        attention, mlp = block.attention, block.mlp
        assert isinstance(attention, Attention)
        attention.heads //= wire.size
        attention.key_heads //= wire.size
        for branch, last in ((attention, "out"), (mlp, "down")):
            if isinstance(branch, Attention | MLP):
                branch.register_forward_pre_hook(enter)
                setattr(branch, last, Row(getattr(branch, last), wire))


def partial(name: str, shape: Shape, wire: Wire | None) -> bool:
    """Whether every worker has the whole of a parameter, but only a part of its gradient."""
    if wire is None:
        return False
    if name.endswith(("query_norm.weight", "key_norm.weight")):
        return True  # each sees its own heads
    layer = name.rsplit(".", 1)[0]
    own = layer.endswith("norm") or name.endswith(("attention.out.bias", "mlp.down.bias"))
    return wire.sequence and own and not of_expert(name, shape)  # each sees its own places
