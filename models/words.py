"""Words: how text is cut before any kind of tokeniser sees it, and words with their counts. Knows no kind and no file.

Digits stand alone; what is between them is cut by the expression of GPT-2 (Radford et al. 2019), so that a word keeps
the blank before it. All kinds cut alike, some of them further, so one table of counts serves them all.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, pre_tokenizers

I32: TypeAlias = NDArray[np.int32]
I64: TypeAlias = NDArray[np.int64]

PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_BLANK = " \t\n\r\x0b\x0c\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # \s of the expression above
_CHUNK = re.compile(f"[{_BLANK}]{{0,65536}}[^{_BLANK}]{{1,65536}}|[{_BLANK}]{{1,65536}}")  # so much is cut at once
_CODES = 0x110000
LONGEST = 1_000  # characters of a word that counts: a longer one is data rather than text


def cutter(*further: str) -> pre_tokenizers.PreTokenizer:
    """The pre-tokeniser: digits, words, and then each match of the expressions given by itself."""
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in (PATTERN, *further)]
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), *splits])


class Counting:
    """Counts the words of texts. Equal chunks of text (blanks and what follows them) are cut only once.

    A word never holds a blank after another character, so cutting chunk by chunk gives what cutting the text gives.
    """

    def __init__(self) -> None:
        self._chunks: Counter[str] = Counter()
        self.too_long = 0
        """Words taken so far that were longer than ``LONGEST``, and left out."""

    def __len__(self) -> int:
        """Distinct chunks held, which are no fewer than the distinct words: what the memory grows with."""
        return len(self._chunks)

    def add(self, texts: Iterable[str]) -> None:
        for text in texts:
            self._chunks.update(_CHUNK.findall(text))

    def take(self) -> dict[str, int]:
        """The words counted since the last time, and their counts."""
        cut = _cut_with(cutter())
        counts: dict[str, int] = {}
        for chunk, count in self._chunks.items():
            for word in cut(chunk):
                if len(word) <= LONGEST:
                    counts[word] = counts.get(word, 0) + count
                else:
                    self.too_long += count
        self._chunks.clear()
        return counts


def _cut_with(pre: pre_tokenizers.PreTokenizer) -> Callable[[str], list[str]]:
    return lambda text: [part for part, _ in pre.pre_tokenize_str(text)]


@dataclass(frozen=True)
class Words:
    """Distinct words with their 64-bit counts, the most frequent first, of equal ones the first in bytes."""

    texts: Sequence[str]
    counts: I64

    @classmethod
    def of(cls, counts: dict[str, int]) -> "Words":
        """In the order stated."""
        texts = sorted(counts, key=lambda word: (-counts[word], word))  # code points sort as their UTF-8 does
        return cls(texts, np.array([counts[word] for word in texts], np.int64))

    def cut(self, cut: Callable[[str], Iterable[str]]) -> "Words":
        """The words that a further cut makes of these."""
        counts: dict[str, int] = {}
        for text, count in zip(self.texts, self.counts.tolist(), strict=True):
            for part in cut(text):
                counts[part] = counts.get(part, 0) + count
        return Words.of(counts)

    def split(self, pattern: str) -> "Words":
        """Each match of an expression becomes a word by itself, as ``cutter(pattern)`` does it."""
        return self.cut(_cut_with(pre_tokenizers.Split(Regex(pattern), "isolated")))

    def bytes(self) -> tuple[NDArray[np.uint8], I64]:
        """All words end to end as UTF-8, and how many bytes each has."""
        data = [text.encode() for text in self.texts]
        return np.frombuffer(b"".join(data), np.uint8), np.array([len(word) for word in data], np.int64)

    def codes(self) -> tuple[I32, I64]:
        """All words end to end as code points, and how many each has."""
        found = np.frombuffer("".join(self.texts).encode("utf-32-le"), np.int32)
        return found, np.array([len(text) for text in self.texts], np.int64)

    def characters(self) -> list[tuple[str, int]]:
        """Characters and their counts, the most frequent first, of equal ones the first in bytes."""
        codes, lengths = self.codes()
        order = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
        if not len(starts):
            return []
        sums = np.add.reduceat(np.repeat(self.counts, lengths)[order], starts)
        kinds = codes[order][starts]
        ranked = np.lexsort((kinds, -sums))
        return [(chr(code), int(n)) for code, n in zip(kinds[ranked].tolist(), sums[ranked].tolist(), strict=True)]

    def symbols(self, ids: dict[str, int], missing: int = -1) -> tuple[I32, I64]:
        """All words end to end as the ids of their characters, and how many each has."""
        codes, lengths = self.codes()
        table = np.full(_CODES, missing, np.int32)
        for character, i in ids.items():
            table[ord(character)] = i
        return table[codes], lengths


@lru_cache(maxsize=1)
def byte_letters() -> tuple[str, ...]:
    """The character that stands for each byte in a byte-level vocabulary (GPT-2's table), by byte."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden: list[Any] = [byte for byte in range(256) if byte not in shown]
    return tuple(chr(byte) if byte in shown else chr(256 + hidden.index(byte)) for byte in range(256))
