"""Muon where workers hold pieces of matrices: the pieces of a momentum meet at the matrix's owner, who turns it.

Each worker keeps the momentum of its own piece, which is elementwise, so that state and checkpoints are in pieces as
ever. A step sends every piece to its owner and back: two rounds of messages between pairs of workers, the same for all
matrices at once. Knows no model; who owns what is `models/parallel/whole.py`'s.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

from models.optim_config import OptimConfig
from models.parallel.whole import Matrix, Piece
from models.parts import part

Groups = list[dict[str, Any]]
Leg = tuple[int, int, Matrix, Piece]  # from worker, to worker, what

if TYPE_CHECKING:
    from models.optimizers.muon import RMS, Muon, orthogonal
else:
    muon = part("optimizers", "muon")
    RMS, Muon, orthogonal = muon.RMS, muon.Muon, muon.orthogonal


class WholeMuon(Muon):
    """Steps this worker's parts. `step` is a collective of the workers that `matrices` name; all make it alike."""

    def __init__(self, groups: Groups, config: OptimConfig, matrices: Sequence[Matrix]) -> None:
        super().__init__(groups, config)
        self._rank = dist.get_rank()
        self._matrices = [m for m in matrices if any(self._rank == piece.worker for piece in m.pieces)]
        self._met: dict[str, tuple[Tensor, Tensor, float]] = {}

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        super().step(closure)
        try:
            self._turn()
        finally:
            self._met.clear()

    def update(self, name: str, weight: Tensor, grad: Tensor, state: dict[str, Tensor], lr: float) -> None:
        """The momentum of a piece alone; its matrix is turned when all of them have theirs."""
        self._met[name] = weight, self.summed(grad, state), lr

    @torch.no_grad()
    def _turn(self) -> None:
        wholes: dict[int, Tensor] = {}

        def join(matrix: Matrix, piece: Piece, momentum: Tensor) -> None:
            if id(matrix) not in wholes:
                wholes[id(matrix)] = momentum.new_empty(matrix.shape)
            wholes[id(matrix)][piece.there] = momentum

        def move(matrix: Matrix, piece: Piece, way: Tensor) -> None:
            weight, _, lr = self._met[matrix.name]
            weight[piece.here].sub_(way, alpha=lr * RMS * math.sqrt(max(matrix.shape[-2:])))

        legs = [(piece.worker, m.owner, m, piece) for m in self._matrices for piece in m.pieces]
        self._pass([leg for leg in legs if leg[3].gives], lambda m, piece: self._met[m.name][1][piece.here], join)
        for whole in wholes.values():
            matrix = whole.view(whole.shape[-2:])
            matrix.copy_(orthogonal(matrix))
        back = [(owner, worker, m, piece) for worker, owner, m, piece in legs]
        self._pass(back, lambda m, piece: wholes[id(m)][piece.there], move)

    def _pass(
        self,
        legs: list[Leg],
        read: Callable[[Matrix, Piece], Tensor],
        write: Callable[[Matrix, Piece, Tensor], None],
    ) -> None:
        """Carry pieces; between two workers all go in one message, in the order of `legs`."""
        rank = self._rank
        out: dict[int, list[Tensor]] = {}
        sizes: dict[int, list[int]] = {}
        for source, target, matrix, piece in legs:
            if source == rank != target:
                out.setdefault(target, []).append(read(matrix, piece).flatten())
            elif target == rank != source:
                sizes.setdefault(source, []).append(math.prod(piece.shape))
        device = next((weight.device for weight, _, _ in self._met.values()), None)
        came = {source: torch.empty(sum(size), device=device) for source, size in sizes.items()}
        operations = [dist.P2POp(dist.isend, torch.cat(pieces), target) for target, pieces in out.items()]
        operations += [dist.P2POp(dist.irecv, buffer, source) for source, buffer in came.items()]
        for work in dist.batch_isend_irecv(operations) if operations else ():
            work.wait()
        parts = {source: iter(torch.split(buffer, sizes[source])) for source, buffer in came.items()}
        for source, target, matrix, piece in legs:
            if target == rank:
                got = read(matrix, piece) if source == rank else next(parts[source]).view(piece.shape)
                write(matrix, piece, got)
