"""What the tokens stage wrote: its tokeniser, and the text as memory-mapped streams. Knows no order and no batch."""

from bisect import bisect_right
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.tokenizer import Tokenizer
from pipeline.stage import StageFolder

Tokens: TypeAlias = NDArray[np.int64]

DTYPE = np.dtype("<u2")  # on disk
TOKENIZER = "tokenizer.json"


def load_tokenizer(folder: StageFolder) -> Tokenizer:
    """The stage's tokeniser. Raises CorruptPiece."""
    return Tokenizer.load(folder.read_bytes(TOKENIZER).decode())


class TokenReader:
    """The streams of one split. A source's pieces, end to end, are a ring: a window may run over the last token.

    A piece is checked against its checksum when it is opened first (raises CorruptPiece), and then mapped.
    """

    def __init__(self, folder: StageFolder, split: str) -> None:
        self._folder = folder
        self._index: dict[str, dict[str, Any]] = folder.read_json("index.json")[split]
        self._maps: dict[str, tuple[list[NDArray[np.uint16]], list[int]]] = {}

    @property
    def sources(self) -> list[str]:
        """Sources with at least one token, sorted."""
        return sorted(source for source, facts in self._index.items() if facts["tokens"])

    def tokens(self, source: str) -> int:
        """Length of a source's stream."""
        return int(self._index[source]["tokens"])

    def window(self, source: str, start: int, length: int) -> Tokens:
        """``length`` tokens from ``start``."""
        pieces, ends = self._open(source)
        window = np.empty(length, np.int64)
        filled = 0
        while filled < length:
            at = (start + filled) % ends[-1]
            i = bisect_right(ends, at)
            offset = at - (ends[i - 1] if i else 0)
            part = pieces[i][offset : offset + length - filled]
            window[filled : filled + len(part)] = part
            filled += len(part)
        return window

    def _open(self, source: str) -> tuple[list[NDArray[np.uint16]], list[int]]:
        if source not in self._maps:
            paths = [self._folder.local(piece) for piece in self._index[source]["pieces"]]
            pieces: list[NDArray[np.uint16]] = [np.memmap(path, DTYPE, mode="r") for path in paths]
            self._maps[source] = pieces, list(accumulate(len(piece) for piece in pieces))
        return self._maps[source]


def windows(tokens: int, context: int) -> int:
    """Windows of ``context`` inputs, each with one token more as the last target, in a stream."""
    return max(0, (tokens - 1) // context)
