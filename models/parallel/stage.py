"""A run of a model's blocks, with the embedding in front of the first and the last norm behind the last. Knows no loss.

The model is taken apart from outside: what a stage does not hold is taken away, the rest keeps its names.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from models.attention import Sight
from models.gpt import GPT
from models.layers import Positions
from models.parallel.tensor import Wire
from models.step import Observer


class Blocks(nn.ModuleDict):
    """Some of a model's blocks under the names that they have among all of them."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values())


class Stage(nn.Module):
    """Tokens [B, T], or the stream [B, T or T / tensor, D] of the stage before, -> the stream.

    The last stage gives the hidden state for the output head. In training the gradient of the sparse layers' balance
    and z-loss, which no later stage sees, is added to that of the stream, so that the stream alone is descended.
    """

    def __init__(self, model: GPT, wire: Wire | None, first: bool, last: bool, blocks: Sequence[int]) -> None:
        super().__init__()
        self.model, self.wire, self.first, self.last = model, wire, first, last
        kept = {str(i): block for i, block in enumerate(model.blocks) if i in blocks}
        taken: dict[str, Any] = {"blocks": Blocks(kept)}
        if not (first or (last and model.head is None)):
            taken["embedding"] = None
        if not first and list(model.positions.parameters()):
            taken["positions"] = Positions()
        if not last:
            taken |= {"norm": None, "head": None}
        for name, module in taken.items():
            setattr(model, name, module)
        self.observers = [module for module in model.modules() if isinstance(module, Observer)]
        self.seen: list[Tensor | None] = [None] * len(self.observers)
        self.routers: list[Any] = [module for module in model.modules() if hasattr(module, "aux")]
        self.weights: list[Tensor] = []  # counted targets of the passes to come

    def forward(self, x: Tensor) -> Tensor:
        """[B, T] or [B, T or T / tensor, D] -> [B, T or T / tensor, D]."""
        model, wire = self.model, self.wire
        for observer in self.observers:
            observer.observed = None  # a recomputed pass has left its own
        if self.first:
            tokens, x = x, model.embed(x)
            x = x if wire is None else wire.narrow(x)
        else:
            width = x.shape[1] * (wire.size if wire is not None and wire.sequence else 1)
            tokens = x.new_empty(()).expand(x.shape[0], width)  # for its size alone
        sight = self._sight(tokens)
        for block in model.blocks:
            if model.recompute and self.training and torch.is_grad_enabled():
                x = checkpoint(block, x, sight, use_reentrant=False)
            else:
                x = block(x, sight)
        if self.training and self.routers:
            weight = self.weights.pop(0)
            for router in self.routers:
                if router.aux is not None:  # its mean a token, as models/step.py has it
                    x = _Carry.apply(x, router.aux / router.routed * weight)  # type: ignore[no-untyped-call]
                    router.aux = None
        x = model.norm(x) if self.last else x
        self._look()
        return x

    def _look(self) -> None:
        """Add up what the observers saw in this pass."""
        for i, observer in enumerate(self.observers):
            if observer.observed is not None:
                seen = self.seen[i]
                self.seen[i] = observer.observed if seen is None else seen + observer.observed

    def _sight(self, tokens: Tensor) -> Sight:
        """Who sees whom, for the heads of this worker."""
        sight = self.model.sight(tokens, None, None, None)
        if self.wire is None or sight.mask is None or sight.mask.shape[1] == 1:
            return sight
        return replace(sight, mask=sight.mask.chunk(self.wire.size, 1)[self.wire.rank])


class _Carry(torch.autograd.Function):
    """x as it is; a scalar that rides along has the gradient one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scalar: Tensor) -> Tensor:
        ctx.save_for_backward(scalar)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        (scalar,) = ctx.saved_tensors
        return grad, torch.ones_like(scalar)
