"""Dialogues as token sequences, and several sequences in one row. Knows no corpus, no model and no step.

A packed row has four lines of `context` numbers: tokens, targets (-100 where the loss does not count), positions that
begin again in each sequence, and segments, which attention may not cross. So a packed row is the same as its sequences
alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.chat import Turn, render
from models.losses import IGNORE
from models.tokenizer import Tokenizer

TOKENS, TARGETS, POSITIONS, SEGMENTS = range(4)
Rows = NDArray[np.int32]  # [N, 4, context]


@dataclass(frozen=True)
class Piece:
    """A run of whole exchanges of one dialogue: ids, and which of them are the assistant's."""

    ids: tuple[int, ...]
    mask: tuple[bool, ...]

    @property
    def slots(self) -> int:
        """Places that it takes in a row: the last token is only a target."""
        return len(self.ids) - 1


def pieces(tokenizer: Tokenizer, turns: Sequence[Turn], context: int) -> tuple[list[Piece], int]:
    """Cut a dialogue between exchanges (user, assistant) into pieces that fit; the second is how many were too long."""
    found: list[Piece] = []
    ids: list[int] = []
    mask: list[bool] = []
    too_long = 0
    for i in range(0, len(turns) - 1, 2):
        more_ids, more_mask = render(tokenizer, turns[i : i + 2])
        if len(more_ids) > context + 1:
            too_long += 1
            more_ids, more_mask = [], []
        if ids and (not more_ids or len(ids) + len(more_ids) > context + 1):
            found.append(Piece(tuple(ids), tuple(mask)))
            ids, mask = [], []
        ids, mask = ids + more_ids, mask + more_mask
    if ids:
        found.append(Piece(tuple(ids), tuple(mask)))
    return found, too_long


def best_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Bins of indices within the capacity, by best-fit decreasing: longest first, into the fullest bin with room.

    On equal lengths the lower index goes first, so the packing is a function of the lengths alone.
    """
    bins: list[list[int]] = []
    with_room: list[list[int]] = [[] for _ in range(capacity + 1)]  # room -> bins, oldest first
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        need = lengths[index]
        assert 0 < need <= capacity, f"sequence {index} of {need} does not fit in {capacity}"
        room = next((r for r in range(need, capacity + 1) if with_room[r]), None)
        if room is None:
            bins.append([])
            home, room = len(bins) - 1, capacity
        else:
            home = with_room[room].pop(0)
        bins[home].append(index)
        with_room[room - need].append(home)
    return bins


def pack(sequences: Sequence[Piece], context: int, pad_id: int, mask_prompts: bool = True) -> Rows:
    """Packed rows, int32 ``[N, 4, context]``. Padding is a segment of its own that no target counts."""
    bins = best_fit([s.slots for s in sequences], context)
    rows = np.zeros((len(bins), 4, context), dtype=np.int32)
    rows[:, TOKENS], rows[:, TARGETS] = pad_id, IGNORE
    for row, members in zip(rows, bins, strict=True):
        at = 0
        for segment, index in enumerate(members, start=1):
            piece = sequences[index]
            place = slice(at, at + piece.slots)
            ids = np.array(piece.ids, dtype=np.int32)
            counted = np.array(piece.mask[1:]) if mask_prompts else np.ones(piece.slots, dtype=bool)
            row[TOKENS, place] = ids[:-1]
            row[TARGETS, place] = np.where(counted, ids[1:], IGNORE)
            row[POSITIONS, place] = np.arange(piece.slots)
            row[SEGMENTS, place] = segment
            at += piece.slots
        row[POSITIONS, at:] = np.arange(context - at)
    return rows


def to_bytes(rows: Rows) -> bytes:
    """Packed rows as a piece: three sizes, then the numbers, little endian."""
    return np.array(rows.shape, dtype="<i4").tobytes() + rows.astype("<i4").tobytes()


def from_bytes(data: bytes) -> Rows:
    """What `to_bytes` wrote."""
    shape = np.frombuffer(data, dtype="<i4", count=3)
    return np.frombuffer(data, dtype="<i4", offset=12).reshape(shape).astype(np.int32)
