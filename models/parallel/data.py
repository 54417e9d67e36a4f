"""Fully sharded data parallelism, torch's FSDP2 (ZeRO stage 3: Rajbhandari 2019, arXiv 1910.02054).

Workers see different rows, and each keeps a share of every parameter, gradient and moment. A block's weights are
gathered before its forward and its backward pass and dropped after each; gradients are summed, not averaged: the one
division, by the tokens of the whole step, comes after the last sum.
"""

from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.fsdp._fully_shard._fsdp_common import FSDPMeshInfo, ShardPlacementResult

from models.parallel.cuts import of_expert


def shard(module: nn.Module, data: DeviceMesh, fsdp: DeviceMesh, keep: bool = False) -> None:
    """Share a module's parameters, without those of modules that are shared already.

    `keep` what is gathered in a forward pass until the last backward pass of a shard, as many passes of a pipeline use
    it. Call it of a module's parts first, then of the module.

    Experts are different on the workers along `expert`, so they are shared along `fsdp` alone, where it has several.
    """
    named = module.named_parameters() if fsdp.size() < data.size() else ()  # else all are shared alike
    experts = {w for name, w in named if of_expert(f".{name}", tuple(w.shape))}
    apart = ShardPlacementResult(None, FSDPMeshInfo(fsdp, shard_mesh_dim=0))
    fully_shard(
        module,
        mesh=data,
        reshard_after_forward=False if keep else None,
        shard_placement_fn=lambda weight: apart if weight in experts else None,
        ignored_params=experts if fsdp.size() == 1 else None,
    )
    assert isinstance(module, FSDPModule)
    module.set_force_sum_reduction_for_comms(True)
    module.set_gradient_divide_factor(1.0)
    module.set_reduce_scatter_unused_params(True, recurse=False)  # an expert to which no token came


def regroup(module: nn.Module) -> None:
    """Drop what is gathered, so that no pass sees weights from before an update."""
    for part in module.modules():
        if isinstance(part, FSDPModule):
            part.reshard()
