"""The exact step where a replica is several workers. Knows no data order, schedule or failure.

A logical shard is computed by all workers of a replica; each keeps its part of the gradients, and the fixed tree of
models/shards.py sums each part over the shards, on one worker and its peers in the other replicas. So the bits depend
on the layout inside a replica, and not on how many replicas there are or which of them died.
"""

import hashlib
import math
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from models.losses import IGNORE
from models.optim import set_lr
from models.parallel.cuts import share
from models.parallel.mesh import ordered_sum
from models.parallel.run import Replica
from models.step import TAIL, ExactStep, Exchange, StepFacts

Batch = TypeVar("Batch")
Pair = tuple[Tensor, Tensor]  # inputs [B, T], targets [B, T]


class LayoutStep(ExactStep[Batch]):
    """`ExactStep` for one worker of a replica. Every worker calls `gradient` and `apply` alike.

    `pair(batch)` gives a logical shard's inputs and targets; its rows are cut over the data workers. A total is this
    worker's part of the gradients, what observers saw, the square of the whole gradient's norm, and the tail.
    """

    def __init__(
        self,
        replica: Replica,
        optimizer: torch.optim.Optimizer,
        pair: Callable[[Batch], Pair],
        shards: int,
        clip_norm: float,
    ) -> None:
        self.replica, self.optimizer, self.pair = replica, optimizer, pair
        self.shards, self.clip_norm = shards, clip_norm
        self._parts = [part for part in replica.parts.values() if part.held.requires_grad]
        self._weights = [part.mine for part in self._parts]
        self._sizes = [weight.numel() for weight in self._weights]
        self._places = list(replica.observers())
        self._observers: list[Any] = [stage.observers[i] for stage, i in self._places]
        self._observed = [*(observer.observed_size for observer in self._observers), 1]

    def gradient(
        self,
        batch_of: Callable[[int], Batch],
        exchange: Exchange,
        probe_of: Callable[[int], Batch | None] = lambda g: None,
        key_of: Callable[[int], int] = lambda g: g,
    ) -> Tensor:
        """This worker's total [P + S + 1 + 4]. `exchange` reaches its peers: the same worker of each replica."""
        total = super().gradient(batch_of, exchange, probe_of, key_of)
        used = sum(self._sizes)
        square = torch.zeros((), dtype=torch.float64, device=total.device)
        for part, gradient in zip(self._parts, torch.split(total[:used], self._sizes), strict=True):
            if self.replica.counts(part.name):
                square += torch.linalg.vector_norm(gradient).double().square()
        said = ordered_sum(torch.cat([square[None], total[-TAIL:].double()]))
        total[-TAIL - 1 :] = said.float()
        return total

    def apply(self, total: Tensor, lr: float) -> StepFacts:
        """Divide by the weight, clip by the norm over all workers, step the optimiser over this worker's parts."""
        facts = self.facts(total)
        if facts.applied:
            factor = min(1.0, self.clip_norm / (facts.grad_norm + 1e-6)) / facts.weight
            used = sum(self._sizes)
            for weight, gradient in zip(self._weights, torch.split(total[:used] * factor, self._sizes), strict=True):
                weight.grad = gradient.view_as(weight)
            set_lr(self.optimizer, lr)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            seen = torch.split(total[used:-TAIL], self._observed)[:-1]
            for observer, sums in zip(self._observers, seen, strict=True):
                observer.absorb(sums)
        return facts

    def facts(self, total: Tensor) -> StepFacts:
        """What a total says, the same on every worker."""
        square, loss_sum, weight, probe_sum, probe_weight = total[-TAIL - 1 :].tolist()
        probe = probe_sum / probe_weight if probe_weight else None
        if weight == 0:
            return StepFacts(math.nan, math.nan, 0.0, applied=False, probe=probe)
        norm = math.sqrt(square) / weight
        return StepFacts(loss_sum / weight, norm, weight, math.isfinite(norm) and math.isfinite(loss_sum), probe)

    def _shard(self, batch: Batch, probe: Batch | None, key: int, size: int) -> Tensor:
        """This worker's part of one logical shard in a fresh buffer, zero-padded to `size`."""
        replica, device = self.replica, self.replica.place.device
        flat, used = torch.empty(size, device=device), sum(self._sizes)
        flat[used:] = 0.0  # gradients are written once, in their place
        end = used + sum(self._observed)
        torch.manual_seed(self._key(key))
        for stage in replica.stages:
            stage.train()
        replica.train(*self._rows(self.pair(batch)))
        loss, weight = replica.objective.taken(device)
        if replica.loses():
            flat[end], flat[end + 1] = loss, weight
        for part, place in zip(self._parts, torch.split(flat[:used], self._sizes), strict=True):
            gradient = part.gradient()
            if gradient is None:
                place.zero_()
            else:
                place.view_as(part.mine).copy_(gradient)
            part.held.grad = None
        self._watch(flat[used : end - 1])
        if probe is not None:
            for stage in replica.stages:
                stage.eval()
            replica.evaluate(*self._rows(self.pair(probe)))
            loss, weight = replica.objective.taken(device)
            if replica.loses():
                flat[end + 2], flat[end + 3] = loss, weight
        return flat

    def _rows(self, pair: Pair) -> Pair:
        """This worker's rows; where none are left for it, one that is not counted, as passes are collectives."""
        place, (inputs, targets) = self.replica.place, pair
        first, length = share(len(inputs), place.layout.data, place.seat.fsdp * place.layout.expert + place.seat.expert)
        if not length:
            inputs, targets, first, length = inputs[:1], torch.full_like(targets[:1], IGNORE), 0, 1
        rows = slice(first, first + length)
        return inputs[rows].to(place.device), targets[rows].to(place.device)

    def _key(self, key: int) -> int:
        """A seed of its own for each worker whose masks are of other rows or blocks; the first has the shard's."""
        seat = self.replica.place.seat
        if not any(seat[:3]):
            return key
        return int.from_bytes(hashlib.sha256(f"{key}/{seat[:3]}".encode()).digest()[:8], "little")

    def _watch(self, into: Tensor) -> None:
        """What observers saw of the shard, over all rows."""
        for (stage, i), place in zip(self._places, torch.split(into, self._observed[:-1]), strict=True):
            seen = stage.seen[i]
            if seen is not None:
                place += seen
            stage.seen[i] = None
        if len(into):
            into.copy_(ordered_sum(into, self.replica.place.group("data")))
