"""The state of a replica by the names and shapes of the one-process model: gathered from any layout, cut for any other.

State is named tensors: ``model.<name>``, ``optim.<moment>.<name>``, with anything in front. What is gathered, or
written in boxes, is what `models/checkpoint.py` holds of a run without a layout, so a run goes on under another layout,
or under none. What is gathered passes through the memory of the replica's first worker; boxes are written by who holds
them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from models.checkpoint import Parts
from models.layout_config import Seat
from models.parallel.cuts import Box, cuts, held_rows, places
from models.parallel.fill import taken
from models.parallel.run import Replica


def own(replica: Replica, optimizer: torch.optim.Optimizer | None = None) -> dict[str, Tensor]:
    """This worker's parts, the tensors themselves."""
    found = {f"model.{name}": part.mine.detach() for name, part in replica.parts.items()}
    found |= {f"model.{name}": buffer for name, buffer in buffers(replica).items()}
    for name, part in replica.parts.items() if optimizer is not None else ():
        state = {} if optimizer is None else optimizer.state.get(part.mine, {})
        found |= {f"optim.{moment}.{name}": tensor for moment, tensor in state.items()}
    return found


def take(replica: Replica, optimizer: torch.optim.Optimizer | None, parts: Mapping[str, Tensor]) -> None:
    """Take over parts, as `own` or `cut` gave them. Raises KeyError where a parameter is missing."""
    held = {name: part.mine.data for name, part in replica.parts.items()} | buffers(replica)
    for name, tensor in held.items():
        tensor.copy_(parts[f"model.{name}"])
    if optimizer is None:
        return
    optimizer.state.clear()
    for key, tensor in parts.items():
        top, _, rest = key.partition(".")
        moment, _, name = rest.partition(".")
        if top == "optim" and replica.parts[name].mine.numel():
            optimizer.state[replica.parts[name].mine][moment] = tensor.clone()


def cut(replica: Replica, whole: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """This worker's parts of a whole state."""
    found = ((key, cut_one(replica, key, tensor)) for key, tensor in whole.items())
    return {key: part for key, part in found if part is not None}


def cut_one(replica: Replica, key: str, whole: Tensor) -> Tensor | None:
    """This worker's part of one tensor of a whole state, in memory of its own; None where it has none."""
    name = _parameter(replica, key)
    if name is None:
        return whole if any(key.endswith(f"model.{buffer}") for buffer in buffers(replica)) else None
    if name not in replica.parts:
        return None
    return _mine(replica, name, whole) if tuple(whole.shape) == replica.parts[name].whole else whole


def boxed(replica: Replica, parts: Mapping[str, Tensor]) -> Parts:
    """What this worker writes of its parts: boxes of the wholes. All workers' together make up the state; a buffer or a
    count of steps is whole, of each worker that has one the same. No collective."""
    found: dict[str, tuple[Sequence[int], list[tuple[list[list[int]], Tensor]]]] = {}
    for key, part in parts.items():
        if not _speaks(replica, key):
            continue
        name = _parameter(replica, key)
        if name is None or part.shape != replica.parts[name].mine.shape:  # Adafactor's rows and columns, too
            found[key] = (part.shape, [([[0, size] for size in part.shape], part)])
            continue
        places = list(_places(replica, replica.place.seat, name))
        pieces = [([[span.start, span.stop] for span in there], part[here]) for there, here in places]
        found[key] = (replica.shapes[name], pieces)
    return found


def gather(replica: Replica, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The whole of a state on the first worker, {} on the others. A collective: all have parts of the same state."""
    spoken = {key: tensor for key, tensor in parts.items() if _speaks(replica, key)}
    said: list[dict[str, tuple[int, ...]]] = [{} for _ in range(dist.get_world_size())]
    dist.all_gather_object(said, {key: tuple(piece.shape) for key, piece in spoken.items()})
    whole: dict[str, Tensor] = {}
    for key in sorted({key for keys in said for key in keys}):
        for source, keys in enumerate(said):
            if key not in keys or dist.get_rank() not in (0, source):
                continue
            piece = _sent(spoken.get(key), keys[key], source, replica.place.device)
            if piece is not None:
                _put(replica, replica.place.layout.seat(source), key, piece, whole)
    return whole


def buffers(replica: Replica) -> dict[str, Tensor]:
    """Buffers that are state; every worker of a stage has them whole."""
    return {
        name: tensor
        for stage in replica.stages
        for name, tensor in stage.model.state_dict().items()
        if name not in replica.parts
    }


def _parameter(replica: Replica, key: str) -> str | None:
    """The parameter that a key is of; None for a buffer."""
    while key:
        if key in replica.shapes:
            return key
        key = key.partition(".")[2]
    return None


def _speaks(replica: Replica, key: str) -> bool:
    """Whether this worker speaks for its part; of workers that hold the same, one does."""
    name = _parameter(replica, key)
    if name is None:
        return not any(replica.place.seat[1:])
    return replica.counts(name) and replica.parts[name].mine.numel() > 0


def _sent(piece: Tensor | None, shape: tuple[int, ...], source: int, device: torch.device) -> Tensor | None:
    """A worker's piece on the first worker, None elsewhere."""
    if source == 0:
        return piece
    if piece is not None and dist.get_rank() == source:
        dist.send(piece.float().to(device).contiguous(), 0)
        return None
    got = torch.empty(shape, device=device)
    dist.recv(got, source)
    return got


def _put(replica: Replica, seat: Seat, key: str, piece: Tensor, whole: dict[str, Tensor]) -> None:
    """Set one worker's piece into its place in the whole."""
    name = _parameter(replica, key)
    shape = () if name is None else replica.shapes[name]
    places = [] if name is None else list(_places(replica, seat, name))
    held = sum(math.prod(span.stop - span.start for span in here) for _, here in places)
    if name is None or len(shape) != piece.ndim or held != piece.numel():  # a buffer, a count of steps: whole already
        whole[key] = piece.detach().cpu().clone()
        return
    made = whole.setdefault(key, torch.empty(shape, dtype=piece.dtype))
    for there, here in places:
        made[there] = piece[here].cpu()


def _places(replica: Replica, seat: Seat, name: str) -> Iterator[tuple[Box, Box]]:
    return places(replica.config, replica.place.layout, seat, name, replica.shapes[name])


def _mine(replica: Replica, name: str, whole: Tensor) -> Tensor:
    """What this worker holds of a parameter, or of a moment of its shape."""
    layout, seat, shape = replica.place.layout, replica.place.seat, tuple(whole.shape)
    first, length = held_rows(replica.config, layout, seat, name, shape)
    part = taken(whole.to(replica.place.device), cuts(replica.config, layout, seat, name, shape))
    return part[first : first + length].clone()
