"""One training step whose bits do not depend on the number of members. Knows no data order, schedule or failure.

gradient: each member computes its range of logical shards, and the members sum them in one fixed tree
(models/shards.py) by an all-to-all of chunks and an all-gather, the traffic of a ring all-reduce. It changes no state:
if a peer dies, the survivors call it again with the new membership.
apply: divide by the weight, clip, step; the same on every member.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from models.optim import set_lr
from models.shards import aligned_subtrees, combine, ranges, tree_sum

Batch = TypeVar("Batch")
TAIL = 4  # loss, weight, probe loss, probe weight: they ride behind the gradients through the same tree


@runtime_checkable
class Observer(Protocol):
    """A module that watches what a shard's forward pass sees: batch statistics, the load of experts.

    `observed` [n] is filled anew by each forward pass in training mode and None before it. Its sum over all shards
    rides through the tree behind the gradients; `absorb` then changes the module's buffers, the same on every member.
    """

    observed: Tensor | None
    observed_size: int

    def absorb(self, total: Tensor) -> None:
        """Take the sum [n] over the shards of a step into buffers, which `state_dict` holds."""
        ...


class Exchange(Protocol):
    """How members reach each other. Sizes are in elements, one a member, as in torch's all_to_all_single."""

    members: int
    rank: int

    def all_to_all(self, send: Tensor, out_sizes: list[int], in_sizes: list[int]) -> Tensor:
        """Send in_sizes[i] elements to member i; return out_sizes[j] elements from each member j, in order of j."""
        ...

    def all_gather(self, x: Tensor) -> list[Tensor]:
        """Every member's x, in order; all have one shape."""
        ...


class LocalExchange:
    """A membership of one."""

    members = 1
    rank = 0

    def all_to_all(self, send: Tensor, out_sizes: list[int], in_sizes: list[int]) -> Tensor:
        """What was sent."""
        return send

    def all_gather(self, x: Tensor) -> list[Tensor]:
        """x alone."""
        return [x]


@dataclass(frozen=True)
class StepFacts:
    """What a step says: loss per counted unit, gradient norm before clipping, weight = counted units (tokens, pairs).

    probe is the held-out loss of the weights before the step, where the step had one. applied is False where the
    gradient was not finite or nothing was counted: then no state has changed.
    """

    loss: float
    grad_norm: float
    weight: float
    applied: bool = True
    probe: float | None = None


Loss = Callable[[nn.Module, Batch], tuple[Tensor, ...]]


class ExactStep(Generic[Batch]):
    """Forward, backward, exact sum and update.

    `loss(model, batch)` returns (sum, weight) of one logical shard, or (sum, weight, shown) where the sum that is
    descended holds more than the loss that is shown (z-loss, label smoothing); balance losses of experts are added
    here. `parts` cuts a shard into the micro-batches whose gradients are added in order. Without `training` the model
    stays in evaluation mode: no dropout, and what it gives is what a rollout saw.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss: Loss[Batch],
        shards: int,
        clip_norm: float,
        parts: Callable[[Batch], Sequence[Batch]] = lambda batch: (batch,),
        training: bool = True,
    ) -> None:
        if shards < 1:
            raise ValueError(f"a step needs at least one shard, got {shards}")
        self.model, self.optimizer, self.loss = model, optimizer, loss
        self.shards, self.clip_norm, self.parts, self.training = shards, clip_norm, parts, training
        self._observers = [module for module in model.modules() if isinstance(module, Observer)]
        self._routers: list[Any] = [module for module in model.modules() if hasattr(module, "aux")]
        self._observed = [observer.observed_size for observer in self._observers]
        self._weights = [weight for weight in model.parameters() if weight.requires_grad]
        self._sizes = [weight.numel() for weight in self._weights]

    def gradient(
        self,
        batch_of: Callable[[int], Batch],
        exchange: Exchange,
        probe_of: Callable[[int], Batch | None] = lambda g: None,
        key_of: Callable[[int], int] = lambda g: g,
    ) -> Tensor:
        """The step's sums, float32 [P + S + 4]: gradients in parameter order, what observers saw, loss and weight, the
        probe's loss and weight.

        The same bits on every member. batch_of(g) gives the batch of logical shard g, probe_of(g) its held-out batch or
        None, key_of(g) the seed of its dropout. A weight is exact below 2^24 counted units a step.
        """
        members, total_size = exchange.members, sum(self._sizes) + sum(self._observed) + TAIL
        chunk = -(-total_size // members)
        nodes = [aligned_subtrees(lo, hi) for lo, hi in ranges(self.shards, members)]
        sums = [
            tree_sum(lo, size, lambda g: self._shard(batch_of(g), probe_of(g), key_of(g), chunk * members))
            for lo, size in nodes[exchange.rank]
        ]
        received = exchange.all_to_all(
            _by_receiver(sums, members), [len(own) * chunk for own in nodes], [len(sums) * chunk] * members
        )
        have = dict(zip([node for own in nodes for node in own], torch.split(received, chunk), strict=True))
        gathered = exchange.all_gather(combine(have, self.shards))
        return (gathered[0] if members == 1 else torch.cat(gathered))[:total_size]

    def apply(self, total: Tensor, lr: float) -> StepFacts:
        """Divide by the weight, clip by the global norm, step the optimiser with learning rate `lr`."""
        facts, gradients = self.facts(total), total[: sum(self._sizes)]
        if facts.applied:
            mean = gradients * (min(1.0, self.clip_norm / (facts.grad_norm + 1e-6)) / facts.weight)
            for parameter, gradient in zip(self._weights, torch.split(mean, self._sizes), strict=True):
                parameter.grad = gradient.view_as(parameter)
            set_lr(self.optimizer, lr)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            seen = torch.split(total[len(gradients) : -TAIL], self._observed) if self._observed else ()
            for observer, sums in zip(self._observers, seen, strict=True):
                observer.absorb(sums)
        return facts

    def facts(self, total: Tensor) -> StepFacts:
        """What a total says, before it is applied: a guard may leave it out."""
        loss_sum, weight, probe_sum, probe_weight = total[-TAIL:].tolist()
        probe = probe_sum / probe_weight if probe_weight else None
        if weight == 0:
            return StepFacts(math.nan, math.nan, 0.0, applied=False, probe=probe)
        norm = float(torch.linalg.vector_norm(total[: sum(self._sizes)])) / weight
        return StepFacts(loss_sum / weight, norm, weight, math.isfinite(norm) and math.isfinite(loss_sum), probe)

    def _aux(self, weight: Tensor) -> Tensor | float:
        """Balance losses of sparse layers that the loss has not taken up: their means, times the weight."""
        means = [router.aux / router.routed for router in self._routers if router.aux is not None]
        for router in self._routers:
            router.aux = None
        return torch.stack(means).sum() * weight if means else 0.0

    def _shard(self, batch: Batch, probe: Batch | None, key: int, size: int) -> Tensor:
        """One logical shard's gradients, observations and tail in a fresh buffer, zero-padded to `size`."""
        self.optimizer.zero_grad(set_to_none=True)
        flat, used = torch.empty(size), sum(self._sizes)
        flat[used:] = 0.0  # gradients are written once, in their place
        end = used + sum(self._observed)
        torch.manual_seed(key)
        self.model.train(self.training)
        for part in self.parts(batch):
            loss, weight, *shown = self.loss(self.model, part)
            (loss + self._aux(weight)).backward()  # type: ignore[no-untyped-call]
            flat[end] += (shown[0] if shown else loss).detach()
            flat[end + 1] += weight
            for observer, place in zip(self._observers, torch.split(flat[used:end], self._observed), strict=True):
                if observer.observed is not None:
                    place += observer.observed
                    observer.observed = None
        for parameter, place in zip(self._weights, torch.split(flat[:used], self._sizes), strict=True):
            if parameter.grad is None:
                place.zero_()
            else:
                place.view_as(parameter).copy_(parameter.grad)
        if probe is not None:
            with torch.no_grad():
                self.model.eval()
                loss, weight, *shown = self.loss(self.model, probe)
                flat[end + 2], flat[end + 3] = shown[0] if shown else loss, weight
        self.optimizer.zero_grad(set_to_none=True)
        return flat


def _by_receiver(sums: list[Tensor], members: int) -> Tensor:
    """What member 0, 1, ... gets, one behind the other: its chunk of each of the sums."""
    if len(sums) == 1:
        return sums[0]  # in that order already
    return torch.stack([node_sum.view(members, -1) for node_sum in sums], dim=1).flatten() if sums else torch.empty(0)
