"""Text to words and marks, with what the rules ask of each: a table of tokens by array operations. Knows no rule.

The cut is near that of the Penn Treebank (Marcus et al. 1993). What stands between blanks is one word, less the marks
at its ends, which stand alone (dots in a row are one mark), and parted inside at hyphens, slashes, colons and the like
that stand before a letter. English clitics stand alone (do + n't, it + 's); initials (U.S.) and addresses are one word.
A run of letters without blanks is one word, so the rules that count words are for languages that write blanks.
"""

import re
import struct
from collections.abc import Callable

import numpy as np
import xxhash
from numpy.typing import NDArray

TOKEN = np.dtype([("hash", "<u8"), ("length", "<u4"), ("kind", "<u4")])
"""A token: hash of its characters, their number, and the sum of ``WORD`` and ``LETTER`` where they hold."""
WORD, LETTER = 1, 2  # it has a letter or a digit; it has a letter

_RECORD = struct.Struct("<QII")
_MARKS = "…,:;!?¿¡()[]{}<>_#*&\"'`“”„‘’«»。？！，、；：～·।،۔؛—–$£€¥"
_BEFORE, _AFTER = f"{_MARKS}.§%=", f"{_MARKS}."
_MARK = re.compile(r"\.{2,}|.")
_INITIALS = re.compile(r"[^\W\d_](?:\.[^\W\d_])*")
_INSIDE = re.compile(
    r"(\.{2,}|…"
    r"|(?<=[^\W\d_])(?:-{1,3}|[–—~,])(?=[^\W\d_])"  # well-known, one,two
    r"|(?<=[^\W_])[:<>=/](?=[^\W\d_])"  # and/or, key=value
    r"|(?<=[a-z])\.(?=[A-Z])"  # end.Begin
    r"|(?<=\d)[+\-*^](?=[\d-]))"  # 3-4
)
_CLITIC = re.compile(r"(?<=\w)(?:n['’]t|['’](?:s|re|ve|ll|d|m))$", re.IGNORECASE)


def split(text: str) -> list[str]:
    """The words and marks of a text, in order."""
    return [token for chunk in text.split() for token in _pieces(chunk)]


def table(text: str) -> NDArray[np.void]:
    """[tokens] of type TOKEN."""
    return np.frombuffer(b"".join(map(_packed.__getitem__, text.split())), TOKEN)


def token_hash(token: str) -> int:
    """The hash in the table."""
    return xxhash.xxh3_64_intdigest(token.encode(errors="surrogatepass"))


def _pieces(chunk: str) -> list[str]:
    if chunk.isalnum():
        return [chunk]
    rest = chunk.lstrip(_BEFORE)
    before, word = chunk[: len(chunk) - len(rest)], rest.rstrip(_AFTER)
    after = rest[len(word) :]
    if after.startswith(".") and _INITIALS.fullmatch(word):  # the dot of U.S. belongs to it
        word, after = f"{word}.", after[1:]
    found = _marks(before)
    if word:
        found += [word] if word.isalnum() or "://" in word else _inside(word)
    return found + _marks(after) if after else found


def _marks(text: str) -> list[str]:
    return _MARK.findall(text) if len(text) > 1 else [text] if text else []


def _inside(word: str) -> list[str]:
    found: list[str] = []
    for part in _INSIDE.split(word):
        if clitic := _CLITIC.search(part) if "'" in part or "’" in part else None:
            found += [part[: clitic.start()], clitic.group()]
        elif part:
            found.append(part)
    return found


def pack(tokens: list[str]) -> bytes:
    """Tokens as rows of the table."""
    return b"".join(map(_rows.__getitem__, tokens))


def _row(token: str) -> bytes:
    if token.isalpha():
        kind = WORD | LETTER
    else:
        kind = WORD * any(map(str.isalnum, token)) | LETTER * any(map(str.isalpha, token))
    return _RECORD.pack(token_hash(token), len(token), kind)


class _Known(dict[str, bytes]):
    """A function of short strings, which remembers what it made; of bounded size."""

    ENTRIES, CHARACTERS = 1 << 17, 64

    def __init__(self, make: Callable[[str], bytes]) -> None:
        self._make = make

    def __missing__(self, text: str) -> bytes:
        made = self._make(text)
        if len(text) <= self.CHARACTERS:
            if len(self) >= self.ENTRIES:
                self.clear()
            self[text] = made
        return made


_rows = _Known(_row)
_packed = _Known(lambda chunk: pack(_pieces(chunk)))  # of what stands between two blanks
