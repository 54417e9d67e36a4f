"""What the tokens stage wrote: its tokeniser, text as memory-mapped streams, and whose tokens they are. Knows no order.

Beside a token piece ``N.bin`` stand ``N.sums``, a checksum for each 256 KiB of it, and ``N.parquet``, the documents in
it in the order of their tokens. A reader checks a chunk when it first comes to it: nothing is read at the start, and
no more than is asked for.
"""

from bisect import bisect_right
from itertools import accumulate
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from cluster.errors import CorruptPiece
from models.tokenizer import Tokenizer
from pipeline.stage import StageFolder

Tokens: TypeAlias = NDArray[np.int64]
Ids: TypeAlias = NDArray[np.unsignedinteger[Any]]

TOKENIZER = "tokenizer.json"
CHUNK = 1 << 18  # bytes under one checksum
MOST_MAPS = 256  # pieces that are mapped at a time: a map holds a file open
OWNERS = pa.schema([("document", pa.string()), ("start", pa.int64()), ("length", pa.int64())])
"""A document's id, its first token in the piece, and how many it has, the one that ends it among them."""


class Document(NamedTuple):
    """Whose tokens these are: its id, its first token in the source's stream, and its tokens with the closing one."""

    id: str
    start: int
    length: int


def dtype_of(vocabulary: int) -> np.dtype[Any]:
    """On disk: 16 bits a token up to 65,536 ids, else 32."""
    return np.dtype("<u2" if vocabulary <= 1 << 16 else "<u4")


def owners_of(piece: str) -> str:
    """The piece that names the documents of a token piece."""
    return piece.removesuffix(".bin") + ".parquet"


def load_tokenizer(folder: StageFolder) -> Tokenizer:
    """The stage's tokeniser. Raises CorruptPiece."""
    return Tokenizer.load(folder.read_bytes(TOKENIZER).decode())


def write(folder: StageFolder, piece: str, tokens: Ids, documents: list[str], lengths: list[int]) -> None:
    """Commit a token piece, after what belongs to it."""
    data = tokens.tobytes()
    sums = [xxhash.xxh3_64_intdigest(memoryview(data)[at : at + CHUNK]) for at in range(0, len(data), CHUNK)]
    folder.write_bytes(_sums_of(piece), np.array(sums, "<u8").tobytes(), rows=len(sums))
    starts = list(accumulate(lengths, initial=0))[:-1]
    folder.write_table(owners_of(piece), pa.table([documents, starts, lengths], schema=OWNERS))
    folder.write_bytes(piece, data, rows=len(tokens))


def _sums_of(piece: str) -> str:
    return piece.removesuffix(".bin") + ".sums"


class _Piece:
    """One token piece, mapped and checked as far as it is read."""

    def __init__(self, folder: StageFolder, name: str, length: int, dtype: np.dtype[Any]) -> None:
        self._folder, self._name, self._length, self._dtype = folder, name, length, dtype
        if folder.done(_sums_of(name)):
            self._sums: NDArray[np.uint64] = np.frombuffer(folder.read_bytes(_sums_of(name)), "<u8")
        else:  # a stream without them is checked whole
            folder.read_bytes(name)
            self._sums = np.zeros(0, "<u8")
        self._checked = np.zeros(len(self._sums), bool)
        self._map: Ids | None = None

    def read(self, start: int, stop: int) -> Ids:
        """Tokens ``start .. stop - 1``, a view. Raises CorruptPiece."""
        tokens = self._map if self._map is not None else self._open()
        size = self._dtype.itemsize
        for chunk in range(start * size // CHUNK, (stop * size - 1) // CHUNK + 1):
            if chunk < len(self._checked) and not self._checked[chunk]:
                part = tokens[chunk * CHUNK // size : (chunk + 1) * CHUNK // size]
                found = xxhash.xxh3_64_intdigest(part.tobytes())
                if found != self._sums[chunk]:
                    raise self._corrupt(f"{self._sums[chunk]:016x}", f"{found:016x}")
                self._checked[chunk] = True
        return tokens[start:stop]

    def close(self) -> None:
        """Give the map back; what was checked stays so."""
        self._map = None

    def _open(self) -> Ids:
        try:
            path = self._folder.storage.path(self._folder.key(self._name))
            self._map = np.memmap(path, self._dtype, mode="r")
        except (FileNotFoundError, ValueError) as error:  # or it is empty, or no multiple of a token
            raise self._corrupt(f"{self._length} tokens", "missing" if isinstance(error, OSError) else "cut") from None
        if len(self._map) != self._length:
            raise self._corrupt(f"{self._length} tokens", f"{len(self._map)} tokens")
        return self._map

    def _corrupt(self, expected: str, found: str) -> CorruptPiece:
        return CorruptPiece(self._folder.key(self._name), expected, found, self._folder.remedy)


class TokenReader:
    """The streams of one split. A source's pieces, end to end, are a ring: a window may run over the last token."""

    def __init__(self, folder: StageFolder, split: str) -> None:
        self._folder = folder
        self._index: dict[str, dict[str, Any]] = folder.read_json("index.json")[split]
        self._ends: dict[str, list[int]] = {}
        self._pieces: dict[str, _Piece] = {}
        self._mapped: dict[str, _Piece] = {}
        self._owners: dict[str, tuple[list[str], list[int], list[int]]] = {}

    @property
    def sources(self) -> list[str]:
        """Sources with at least one token, sorted."""
        return sorted(source for source, facts in self._index.items() if facts["tokens"])

    def tokens(self, source: str) -> int:
        """Length of a source's stream."""
        return int(self._index[source]["tokens"])

    def window(self, source: str, start: int, length: int) -> Tokens:
        """``length`` tokens from ``start``. Raises CorruptPiece."""
        window = np.empty(length, np.int64)
        filled = 0
        while filled < length:
            i, offset, end = self._at(source, start + filled)
            stop = min(end, offset + length - filled)
            window[filled : filled + stop - offset] = self._piece(source, i).read(offset, stop)
            filled += stop - offset
        return window

    def document_at(self, source: str, position: int) -> Document:
        """The document that a token of the stream belongs to."""
        i, offset, _ = self._at(source, position)
        ids, starts, lengths = self._owners_of(self._index[source]["pieces"][i])
        row = bisect_right(starts, offset) - 1
        before = self._ends_of(source)[i - 1] if i else 0
        return Document(ids[row], before + starts[row], lengths[row])

    def documents(self, source: str, start: int, length: int) -> list[Document]:
        """The documents that a window touches, in the order of its tokens."""
        found = []
        at, total = start, self.tokens(source)
        while at < start + length:
            found.append(self.document_at(source, at))
            at += found[-1].start + found[-1].length - at % total
        return found

    def _at(self, source: str, position: int) -> tuple[int, int, int]:
        """Where a token of the stream stands: the number of its piece, its place there, and the piece's length."""
        ends = self._ends_of(source)
        at = position % ends[-1]
        i = bisect_right(ends, at)
        before = ends[i - 1] if i else 0
        return i, at - before, ends[i] - before

    def _ends_of(self, source: str) -> list[int]:
        if source not in self._ends:
            facts = self._index[source]
            records = (self._folder.record(piece) for piece in facts["pieces"])
            lengths = facts.get("lengths") or [record["rows"] if record else 0 for record in records]
            self._ends[source] = list(accumulate(lengths))
        return self._ends[source]

    def _piece(self, source: str, i: int) -> _Piece:
        name = self._index[source]["pieces"][i]
        if name not in self._pieces:
            ends = self._ends_of(source)
            dtype = np.dtype(self._index[source].get("dtype", "<u2"))
            self._pieces[name] = _Piece(self._folder, name, ends[i] - (ends[i - 1] if i else 0), dtype)
        if name not in self._mapped:
            if len(self._mapped) >= MOST_MAPS:
                self._mapped.pop(next(iter(self._mapped))).close()
            self._mapped[name] = self._pieces[name]
        return self._pieces[name]

    def _owners_of(self, piece: str) -> tuple[list[str], list[int], list[int]]:
        if piece not in self._owners:
            table = self._folder.read_table(owners_of(piece))
            self._owners = {piece: (*(table[name].to_pylist() for name in OWNERS.names),)}  # one at a time is held
        return self._owners[piece]


def windows(tokens: int, context: int) -> int:
    """Windows of ``context`` inputs, each with one token more as the last target, in a stream."""
    return max(0, (tokens - 1) // context)
