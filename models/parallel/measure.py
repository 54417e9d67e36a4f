"""What a worker really sends, and what a pass really keeps: counted, to be set beside models/parallel/costs.py."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from models.parallel.run import Replica

# By c10d's name of a collective: (which argument is the whole, sums of a ring)
COLLECTIVES = {
    "allreduce_": (0, 2),
    "_allgather_base_": (0, 1),
    "_reduce_scatter_base_": (1, 1),
    "alltoall_base_": (1, 1),
}


class Sent(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of floats that this worker sends while the mode is on; collectives as a ring sends them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "c10d":
            self.bytes += self._sent(func.name().split("::")[1].split(".")[0], args)
        return func(*args, **(kwargs or {}))

    def _sent(self, name: str, args: Any) -> float:
        which, sums = COLLECTIVES.get(name, (0, 0))
        if not sums and name != "send":
            return 0.0  # what comes, and what is said of sizes and losses
        tensors = args[which] if isinstance(args[which], list) else [args[which]]
        size = float(sum(tensor.nbytes for tensor in tensors if tensor.is_floating_point()))
        if name == "send":
            return size
        group = next(a for a in args if isinstance(a, torch.ScriptObject) and "ProcessGroup" in str(a._type()))
        workers = dist.ProcessGroup.unbox(group).size()
        return sums * (workers - 1) / workers * size


@contextmanager
def kept(replica: Replica) -> Iterator[list[int]]:
    """The sizes in bytes of what passes inside keep for their backward passes, weights aside."""
    weights = {part.mine.untyped_storage().data_ptr() for part in replica.parts.values()}
    found: dict[int, int] = {}
    sizes: list[int] = []

    def keep(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        weight = storage.data_ptr() in weights or (x.is_leaf and x.requires_grad)
        if x.is_floating_point() and not weight:
            found[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        yield sizes
    sizes += found.values()
