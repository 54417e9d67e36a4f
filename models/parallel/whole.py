"""Which worker turns which matrix under Muon, and who sends what to whom. Arithmetic alone: no torch, no processes.

A matrix that several workers hold pieces of has one owner among them. Owners are chosen so that the workers of a stage
of the pipeline have alike much to turn: the largest matrix first, each to the worker with the least so far.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import prod

from models.config import GPTConfig
from models.layout_config import Layout
from models.parallel.cuts import Box, Shape, fused, holds, places, shapes, tensor_cut


@dataclass(frozen=True)
class Piece:
    """What a worker holds of a matrix: its box there, and in the worker's part of the parameter.

    Of workers along tensor that hold the same, the first gives it to the owner; what comes back goes to all.
    """

    worker: int
    there: Box
    here: Box
    gives: bool

    @property
    def shape(self) -> Shape:
        """[rows, columns], of experts [1, rows, columns]."""
        return tuple(span.stop - span.start for span in self.there)


@dataclass(frozen=True)
class Matrix:
    """One matrix of a parameter [rows, columns], of experts [1, rows, columns], its owner and its pieces."""

    name: str
    shape: Shape
    owner: int
    pieces: tuple[Piece, ...]


def is_turned(name: str, shape: Shape) -> bool:
    """Whether Muon turns the matrices of a parameter (models/optim.py says the same of a model)."""
    return name.startswith("blocks.") and len(shape) > 1 and not name.endswith("bias")


@lru_cache(maxsize=8)
def matrices(config: GPTConfig, layout: Layout, pipeline: int) -> tuple[Matrix, ...]:
    """Every matrix that the workers of one place in the pipeline turn, in the order of parameters."""
    ranks = [rank for rank in range(layout.workers) if layout.seat(rank).pipeline == pipeline]
    found: list[tuple[str, Box, tuple[Piece, ...]]] = []
    for name, shape in shapes(config).items():
        if is_turned(name, shape) and holds(config, layout, layout.seat(ranks[0]), name):
            found += ((name, box, pieces) for box, pieces in _pieces(config, layout, ranks, name, shape))
    lengths = [tuple(span.stop - span.start for span in box) for _, box, _ in found]
    load, owners = dict.fromkeys(ranks, 0), dict[int, int]()
    work = [prod(shape) * min(shape[-2:]) for shape in lengths]
    for i in sorted(range(len(found)), key=lambda i: -work[i]):
        owners[i] = min((piece.worker for piece in found[i][2]), key=lambda rank: (load[rank], rank))
        load[owners[i]] += work[i]
    return tuple(Matrix(name, lengths[i], owners[i], pieces) for i, (name, _, pieces) in enumerate(found))


def _pieces(
    config: GPTConfig, layout: Layout, ranks: list[int], name: str, shape: Shape
) -> Iterator[tuple[Box, tuple[Piece, ...]]]:
    """(box in the parameter, pieces) of each matrix of a parameter."""
    parts = fused(config, name, shape[-2])
    ends = [sum(parts[: i + 1]) for i in range(len(parts))]
    stack = [(slice(e, e + 1),) for e in range(shape[0])] if len(shape) > 2 else [()]
    wholes: list[Box] = [
        (*expert, slice(end - rows, end), slice(0, shape[-1]))
        for expert in stack
        for rows, end in zip(parts, ends, strict=True)
    ]
    found: list[list[Piece]] = [[] for _ in wholes]
    for rank in ranks:
        seat = layout.seat(rank)
        gives = seat.tensor == 0 or tensor_cut(config, layout, seat, name, shape) is not None
        for there, here in places(config, layout, seat, name, shape):
            first, last = (there[0].start, there[0].stop) if len(shape) > 2 else (0, 1)
            for i in range(first * len(parts), last * len(parts)):
                both = [_common(a, b) for a, b in zip(there, wholes[i], strict=True)]
                if all(span.start < span.stop for span in both):
                    inside = tuple(_moved(span, -whole.start) for span, whole in zip(both, wholes[i], strict=True))
                    own = tuple(_moved(s, b.start - a.start) for s, a, b in zip(both, there, here, strict=True))
                    found[i].append(Piece(rank, inside, own, gives))
    return ((whole, tuple(pieces)) for whole, pieces in zip(wholes, found, strict=True))


def _common(a: slice, b: slice) -> slice:
    return slice(max(a.start, b.start), min(a.stop, b.stop))


def _moved(span: slice, by: int) -> slice:
    return slice(span.start + by, span.stop + by)


@lru_cache(maxsize=8)
def exchanged(config: GPTConfig, layout: Layout, pipeline: int) -> dict[int, tuple[int, int]]:
    """By worker: (numbers that it sends in a step, numbers of the matrices that it owns)."""
    found = {rank: (0, 0) for rank in range(layout.workers) if layout.seat(rank).pipeline == pipeline}

    def add(rank: int, sent: int, owned: int = 0) -> None:
        found[rank] = found[rank][0] + sent, found[rank][1] + owned

    for matrix in matrices(config, layout, pipeline):
        add(matrix.owner, 0, prod(matrix.shape))
        for piece in matrix.pieces:
            if piece.worker != matrix.owner:
                add(piece.worker, prod(piece.shape) if piece.gives else 0)
                add(matrix.owner, prod(piece.shape))
    return found
