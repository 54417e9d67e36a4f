"""What training stages keep and how long: optimiser moments by parameter name, and the newest checkpoints. No Ray."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pipeline.pretrain.checkpoints import drop_old
from pipeline.stage import StageFolder

KEPT_CHECKPOINTS = 2


def moments(model: nn.Module, optimizer: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """An optimiser's state by name, ``<prefix>.<moment>.<parameter>``; the tensors themselves, not copies."""
    named, state = model.named_parameters(), optimizer.state
    return {f"{prefix}.{m}.{name}": tensor for name, p in named for m, tensor in state.get(p, {}).items()}


def set_moments(model: nn.Module, optimizer: torch.optim.Optimizer, prefix: str, tensors: Mapping[str, Tensor]) -> None:
    """Copy what ``moments`` gave into an optimiser; names of another prefix are passed over."""
    parameters = dict(model.named_parameters())
    optimizer.state.clear()
    for key, tensor in tensors.items():
        if key.startswith(f"{prefix}."):
            moment, _, name = key.removeprefix(f"{prefix}.").partition(".")
            optimizer.state[parameters[name]][moment] = tensor.clone()


def drop_old_checkpoints(folder: StageFolder) -> None:
    """Take away all but the newest checkpoints: folders below ``checkpoints/`` that are named by their step."""
    drop_old(folder, KEPT_CHECKPOINTS)
