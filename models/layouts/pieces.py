"""Which tensors of a layout hold a weight of ours, and how they are put together. Knows no family and no file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

READABLE = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def refused(field: str, value: object, rule: str, remedy: str) -> ValueError:
    """A ValueError that says which field, which value, which rule and what to do."""
    return ValueError(f"{field} = {value!r}: {rule}. {remedy}")


def said(found: Mapping[str, Any], *keys: str) -> None:
    """Raises ValueError where a config.json lacks one of these numbers."""
    for key in keys:
        if not isinstance(found.get(key), int | float):
            raise refused(key, found.get(key), "config.json must say it, a number", "Take a whole copy of the folder")


@dataclass(frozen=True)
class Piece:
    """A weight of ours and the tensors that hold it. Where a side has none, zeros take its place: a missing bias.

    `cut` also works on meta tensors, which tells the shapes that theirs must have.
    """

    ours: str
    theirs: tuple[str, ...]  # empty: ours begins at zero
    join: Callable[[Sequence[Tensor]], Tensor] = lambda parts: parts[0]
    cut: Callable[[Tensor], Sequence[Tensor]] = lambda whole: (whole,)
    zeros: tuple[int, ...] = ()  # shape of theirs, where ours has none


def rows(ours: str, theirs: Sequence[str], sizes: Sequence[int]) -> Piece:
    """Ours is theirs below each other, `sizes` rows each."""
    return Piece(ours, tuple(theirs), _below, lambda whole: torch.split(whole, list(sizes)))


def _below(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(parts))


def turned(ours: str, theirs: str) -> Piece:
    """Ours is the transpose of theirs."""
    return Piece(ours, (theirs,), lambda parts: parts[0].T, lambda whole: (whole.T,))


def stacked(ours: str, theirs: Sequence[Sequence[str]]) -> Piece:
    """Ours [E, R, C] is a stack over experts; theirs[e] are the expert's tensors, below each other, of equal size."""
    each = len(theirs[0])

    def join(parts: Sequence[Tensor]) -> Tensor:
        return torch.stack([_below(parts[i : i + each]) for i in range(0, len(parts), each)])

    def cut(whole: Tensor) -> list[Tensor]:
        return [part for expert in whole for part in expert.chunk(each)]

    return Piece(ours, tuple(name for expert in theirs for name in expert), join, cut)


def beyond(ours: str, theirs: str, first: int) -> Piece:
    """Ours is theirs without its `first` rows, which nothing reads."""
    return Piece(
        ours,
        (theirs,),
        lambda parts: parts[0][first:],
        lambda whole: (torch.cat([whole.new_zeros(first, *whole.shape[1:]), whole]),),
    )


def taken_apart(pieces: Sequence[Piece], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Their tensors of our state, contiguous."""
    theirs: dict[str, Tensor] = {}
    for piece in pieces:
        parts = [torch.zeros(piece.zeros)] if piece.zeros else piece.cut(ours[piece.ours].detach())
        for name, part in zip(piece.theirs, parts, strict=True):
            theirs[name] = part.contiguous()
    left = set(ours) - {piece.ours for piece in pieces}
    assert not left, f"a layout that has no place for {sorted(left)} should have been refused"
    return theirs


def put_together(
    pieces: Sequence[Piece], theirs: dict[str, Tensor], shapes: Mapping[str, torch.Size]
) -> dict[str, Tensor]:
    """Our state in float32, by the shapes of ours; empties `theirs`, so that no more than one copy is held.

    Raises ValueError for a tensor that is missing, left over, of another shape, or of a dtype that is not a float's.
    """
    assert {piece.ours for piece in pieces} == set(shapes), "the pieces are not those of the shape"
    ours: dict[str, Tensor] = {}
    for piece in pieces:
        if not piece.theirs:
            ours[piece.ours] = torch.zeros(shapes[piece.ours])
            continue
        wanted = piece.cut(torch.empty(shapes[piece.ours], device="meta"))
        parts = [_part(theirs, name, part.shape) for name, part in zip(piece.theirs, wanted, strict=True)]
        ours[piece.ours] = piece.join(parts).contiguous()
    if theirs:
        name = min(theirs)
        rule = f"config.json describes a model without it (and {len(theirs) - 1} more)"
        raise refused("tensor", name, rule, "Take a folder whose weights are those of its config.json")
    return ours


def _part(theirs: dict[str, Tensor], name: str, shape: torch.Size) -> Tensor:
    if name not in theirs:
        raise refused("tensor", name, "the weights do not have it", "Take a whole copy of the folder")
    part = theirs.pop(name)
    if part.shape != shape:
        rule = f"config.json makes it {list(shape)}"
        raise refused(f"shape of {name}", list(part.shape), rule, "Take a config.json that belongs to these weights")
    if part.dtype not in READABLE:
        rule = "a float32, float64, float16 or bfloat16 tensor is read, none that is quantised"
        raise refused(f"dtype of {name}", str(part.dtype).removeprefix("torch."), rule, "Take the weights in bfloat16")
    return part.float()
