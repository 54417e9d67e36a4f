"""The workers of one replica as a DeviceMesh, and one worker's place in it. Knows no model.

Axes, the slowest first: pipeline, fsdp, expert, tensor; "data" is fsdp and expert as one.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from models.layout_config import Layout, LayoutError, Seat

AXES = ("pipeline", "fsdp", "expert", "tensor")


@dataclass(frozen=True)
class Place:
    """A worker's place in a replica. The default process group holds the replica's workers and nobody else."""

    layout: Layout
    mesh: DeviceMesh
    data: DeviceMesh  # fsdp x expert as one axis

    @cached_property
    def seat(self) -> Seat:
        """This worker's coordinates."""
        return self.layout.seat(dist.get_rank())

    @property
    def device(self) -> torch.device:
        """Where this worker's tensors live."""
        return torch.device(self.mesh.device_type)

    def group(self, axis: str) -> dist.ProcessGroup:
        """The workers that differ from this one along an axis alone."""
        return (self.data if axis == "data" else self.mesh[axis]).get_group()


def make_place(layout: Layout) -> Place:
    """This worker's place. Raises LayoutError where the default process group has another size than the layout."""
    if dist.get_world_size() != layout.workers:
        rule = f"fsdp x tensor x pipeline x expert is {layout.workers} workers, and {dist.get_world_size()} are here"
        raise LayoutError("workers", dist.get_world_size(), rule, "Start as many, or change the layout")
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    mesh = init_device_mesh(kind, tuple(getattr(layout, axis) for axis in AXES), mesh_dim_names=AXES)
    return Place(layout, mesh, mesh["fsdp", "expert"]._flatten("data"))


def backend() -> str:
    """What carries tensors between workers: NCCL between GPUs, else gloo."""
    return "nccl" if torch.cuda.is_available() else "gloo"


def ordered_sum(x: Tensor, group: dist.ProcessGroup | None = None) -> Tensor:
    """The sum of every worker's x in the order of workers: the same bits on all of them. For what is small."""
    parts = [torch.empty_like(x) for _ in range(dist.get_world_size(group))]
    dist.all_gather(parts, x.contiguous(), group=group)
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
