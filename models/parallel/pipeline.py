"""Pipeline parallelism by torch's schedules: GPipe (Huang 2018, arXiv 1811.06965), 1F1B (Narayanan 2019, PipeDream) and
interleaved 1F1B (Narayanan 2021, arXiv 2104.04473).

A worker has some blocks; passes (micro-batches) stream through the workers, forwards and back. With m passes and p
workers a share (p - 1) / (m + p - 1) of the time is lost to filling and draining, the bubble; v stages a worker make it
(p - 1) / (v m + p - 1). One logical shard is one filling and draining.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleGPipe, ScheduleInterleaved1F1B

from models.layout_config import Layout
from models.parallel.mesh import Place
from models.parallel.objective import Objective
from models.parallel.stage import Stage

SCHEDULES = {"gpipe": ScheduleGPipe, "1f1b": Schedule1F1B, "interleaved": ScheduleInterleaved1F1B}


def bubble(layout: Layout) -> float:
    """The share of a worker's time that filling and draining take, if every stage takes equally long."""
    lost = layout.pipeline - 1
    return lost / (layout.interleave * layout.micro_batches + lost)


class Pipeline:
    """One worker's stages, in the order of stages, and the passes through them."""

    def __init__(self, stages: Sequence[Stage], place: Place, objective: Objective) -> None:
        self.stages, self.place, self.objective = stages, place, objective
        layout = place.layout
        self.indices = [place.seat.pipeline + i * layout.pipeline for i in range(layout.interleave)]
        self._made: tuple[tuple[int, int], Any] | None = None

    def train(self, inputs: Tensor, targets: Tensor) -> None:
        """Forward and backward of a shard's rows [B, T]; gradients are added to those that stand."""
        schedule = self._schedule(*inputs.shape)
        given = (inputs,) if self.stages[0].first else ()
        with self.objective.cast(inputs.device):
            schedule.step(*given, target=targets if self.stages[-1].last else None, return_outputs=False)

    @torch.no_grad()
    def evaluate(self, inputs: Tensor, targets: Tensor) -> None:
        """Forward alone, without a schedule: any number of rows, at one pass."""
        x = inputs
        group, own = self.place.group("pipeline"), dict(zip(self.indices, self.stages, strict=True))
        for index in range(self.place.layout.stages):
            if index not in own:
                continue
            if index:
                x = self._stream(*inputs.shape)
                dist.recv(x, group=group, group_src=(index - 1) % group.size())
            with self.objective.cast(x.device):
                x = own[index](x)
            if own[index].last:
                self.objective(own[index].model, own[index].wire, x, targets)
            else:
                dist.send(x.contiguous(), group=group, group_dst=(index + 1) % group.size())

    def _stream(self, rows: int, places: int, device: torch.device | None = None) -> Tensor:
        """An empty residual stream of one tensor worker."""
        stage = self.stages[0]
        length = places // (stage.wire.size if stage.wire is not None and stage.wire.sequence else 1)
        return torch.empty(rows, length, stage.model.config.width, device=device or self.place.device)

    def _schedule(self, rows: int, places: int) -> Any:
        """torch's schedule for rows of this shape; sizes are stated, so that no pass is needed to find them."""
        if self._made is not None and self._made[0] == (rows, places):
            return self._made[1]
        layout, meta = self.place.layout, torch.device("meta")
        each = rows // layout.micro_batches
        tokens = torch.empty(each, places, dtype=torch.long, device=meta)
        stream = self._stream(each, places, meta).requires_grad_()
        stages = [
            PipelineStage(
                stage,
                index,
                layout.stages,
                self.place.device,
                input_args=tokens if stage.first else stream,
                output_args=stream,
                group=self.place.group("pipeline"),
            )
            for index, stage in zip(self.indices, self.stages, strict=True)
        ]
        given: Any = stages if layout.schedule == "interleaved" else stages[0]
        made = SCHEDULES[layout.schedule](given, layout.micro_batches, loss_fn=self._loss, scale_grads=False)
        self._made = (rows, places), made
        return made

    def _loss(self, hidden_BTD: Tensor, targets_BT: Tensor) -> Tensor:
        last = self.stages[-1]
        return self.objective(last.model, last.wire, hidden_BTD, targets_BT)


def share_tied(gradient: Tensor, place: Place) -> None:
    """Add up the gradients of an embedding that is the head too, on the first and the last worker of the pipeline."""
    group, rank = place.group("pipeline"), place.seat.pipeline
    if rank not in (0, group.size() - 1):
        return
    peer, other = group.size() - 1 - rank, torch.empty_like(gradient)
    sent = dist.P2POp(dist.isend, gradient.contiguous(), group=group, group_peer=peer)
    got = dist.P2POp(dist.irecv, other, group=group, group_peer=peer)
    for work in dist.batch_isend_irecv([sent, got]):
        work.wait()
    gradient += other  # a sum of two is the same either way round
