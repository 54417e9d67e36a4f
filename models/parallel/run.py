"""One worker's part of a model under a layout: `build`, and the state of it by the names of the whole.

Everything about a parameter that a layout changes is found here: which part this worker holds, whether it speaks for
it, whether the gradients of others are still to be added.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from models.config import GPTConfig
from models.gpt import GPT
from models.losses import IGNORE
from models.optim import make_optimizer
from models.optim_config import OptimConfig
from models.parallel import data, expert, tensor, vocabulary
from models.parallel.cuts import Shape, counts, cuts, shapes
from models.parallel.fill import fill, first_value, skeleton, taken, unmade
from models.parallel.mesh import Place
from models.parallel.muon import WholeMuon
from models.parallel.objective import Objective
from models.parallel.pipeline import Pipeline, share_tied
from models.parallel.stage import Stage
from models.parallel.whole import matrices


class Part:
    """A worker's part of one parameter, `mine`: its memory as an optimiser steps it, without any wrapper."""

    def __init__(self, name: str, held: nn.Parameter, whole: Shape) -> None:
        self.name, self.held, self.whole = name, held, whole
        self.mine = nn.Parameter(_local(held).detach(), requires_grad=held.requires_grad)

    def gradient(self) -> Tensor | None:
        """This worker's part of the gradient, or None where no pass touched it."""
        return None if self.held.grad is None else _local(self.held.grad)


def _local(x: Tensor) -> Tensor:
    return x.to_local() if isinstance(x, DTensor) else x


class Replica:
    """One worker's stages and parts. Called by all workers of the replica in the same order, each method is a
    collective where it says so."""

    def __init__(self, config: GPTConfig, place: Place, stages: list[Stage], objective: Objective) -> None:
        self.config, self.place, self.stages, self.objective = config, place, stages, objective
        self.wire = stages[0].wire
        self.pipeline = Pipeline(stages, place, objective) if place.layout.pipeline > 1 else None
        self.shapes = shapes(config)
        self.parts: dict[str, Part] = {}
        for stage in stages:
            for name, held in stage.model.named_parameters():
                self.parts[name] = Part(name, held, self.shapes[name])

    def train(self, inputs_BT: Tensor, targets_BT: Tensor) -> None:
        """Forward and backward of this worker's rows of a logical shard. A collective."""
        each = len(inputs_BT) // self.place.layout.micro_batches
        for stage in self.stages:
            stage.weights = [(targets != IGNORE).sum() for targets in torch.split(targets_BT, each)]
        if self.pipeline is not None:
            self.pipeline.train(inputs_BT, targets_BT)
        else:
            for inputs, targets in zip(torch.split(inputs_BT, each), torch.split(targets_BT, each), strict=True):
                self._loss(inputs, targets).backward()  # type: ignore[no-untyped-call]
        self._finish()

    @torch.no_grad()
    def evaluate(self, inputs_BT: Tensor, targets_BT: Tensor) -> None:
        """Forward alone; the objective's tally has the loss. A collective."""
        if self.pipeline is not None:
            self.pipeline.evaluate(inputs_BT, targets_BT)
        else:
            self._loss(inputs_BT, targets_BT)
        for stage in self.stages:
            data.regroup(stage)

    def _loss(self, inputs_BT: Tensor, targets_BT: Tensor) -> Tensor:
        (stage,) = self.stages
        with self.objective.cast(inputs_BT.device):
            hidden = stage(inputs_BT)
        return self.objective(stage.model, self.wire, hidden, targets_BT)

    @torch.no_grad()
    def _finish(self) -> None:
        """Add what other workers have of the gradients that this one has only a part of."""
        if self.wire is not None:
            several = [p for p in self.parts.values() if tensor.partial(p.name, p.whole, self.wire)]
            partials = [gradient for part in several if (gradient := part.gradient()) is not None]
            if partials:
                summed = self.wire.summed(torch.cat([gradient.flatten() for gradient in partials]))
                sizes = [gradient.numel() for gradient in partials]
                for gradient, whole in zip(partials, torch.split(summed, sizes), strict=True):
                    gradient.copy_(whole.view_as(gradient))
        tied = self.parts.get("embedding.weight")
        if self.pipeline is not None and self.config.tie_embeddings and tied is not None:
            gradient = tied.gradient()
            assert gradient is not None
            share_tied(gradient, self.place)

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """This worker's parts by name, as an optimiser steps them."""
        return ((name, part.mine) for name, part in self.parts.items())

    def counts(self, name: str) -> bool:
        """Whether this worker speaks for its part of a parameter, in norms and checkpoints."""
        return counts(self.config, self.place.layout, self.place.seat, name)

    def loses(self) -> bool:
        """Whether this worker's tally is the one to be counted among those that have the same rows."""
        return self.stages[-1].last and self.place.seat.tensor == 0

    def observers(self) -> Iterator[tuple[Stage, int]]:
        """Each module that watches what passes see, as (stage, its number there)."""
        for stage in self.stages:
            yield from ((stage, i) for i in range(len(stage.observers)))

    def make_optimizer(self, optim: OptimConfig) -> torch.optim.Optimizer:
        """The one-process model's groups, over this worker's parts of their parameters."""
        made = make_optimizer(skeleton(self.config), optim)
        layout = self.place.layout
        if optim.kind == "muon" and layout.data * layout.tensor > 1:
            turned = {name for group in made.param_groups if group["kind"] == "muon" for name in group["names"]}
            whole = [m for m in matrices(self.config, layout, self.place.seat.pipeline) if m.name in turned]
            made = WholeMuon(made.param_groups, optim, whole)
        groups: list[dict[str, Any]] = []
        for group in made.param_groups:
            names = [name for name in group["names"] if name in self.parts and self.parts[name].mine.numel()]
            group["names"], group["params"] = names, [self.parts[name].mine for name in names]
            groups += [group] if names else []
        made.param_groups = groups
        return made


def build(
    config: GPTConfig, place: Place, seed: int, objective: Objective | None = None, recompute: bool = False
) -> Replica:
    """This worker's part of the model that `init_weights(GPT(config), seed)` makes. A collective."""
    layout = place.layout
    wire = None
    if layout.tensor > 1:
        wire = tensor.Wire(place.group("tensor"), place.seat.tensor, layout.tensor, layout.sequence)
    each = config.layers // layout.stages
    stages = []
    for index in range(place.seat.pipeline, layout.stages, layout.pipeline):
        with unmade():
            model = GPT(config)
            model.recompute = recompute
            expert.split(model, place.group("expert") if layout.expert > 1 else None, wire)
            if wire is not None:
                tensor.split(model, wire)
                model.embedding = vocabulary.Embedding(model.embedding, wire)  # type: ignore[assignment]
        blocks = range(index * each, (index + 1) * each)
        stage = Stage(model, wire, index == 0, index == layout.stages - 1, blocks)
        _fill(stage, config, place, seed)
        stages.append(stage)
    return Replica(config, place, stages, objective or Objective())


def _fill(stage: Stage, config: GPTConfig, place: Place, seed: int) -> None:
    """Draw a stage's parts and share them out, a block at a time."""

    def value(name: str) -> Tensor:
        shape = shapes(config)[name]
        made = cuts(config, place.layout, place.seat, name, shape)
        return taken(first_value(config, name, shape, seed), made)

    share = partial(data.shard, data=place.data, fsdp=place.mesh["fsdp"], keep=place.layout.pipeline > 1)
    shared = place.layout.data > 1
    for name, block in stage.model.blocks.items():  # type: ignore[operator]
        fill(block, f"blocks.{name}", value, place.device)
        if shared:
            share(block)
    fill(stage.model, "", value, place.device)
    stage.to(place.device)
    if shared:
        share(stage)
    dist.barrier()
