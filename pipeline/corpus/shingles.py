"""Word n-grams of many documents as 64-bit hashes, by array operations. Knows no duplicate and no threshold.

A word is a run of letters and digits, in lower case, but each letter of a script that writes no blanks is one (Han,
kana, Thai ...); punctuation, line ends and markup between words do not count, so a passage that was wrapped or quoted
has the n-grams of the original. A word's hash is a polynomial in a random odd 64-bit base over a random 64-bit value
per byte, so that all words come out of one running sum; then it is mixed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

U64: TypeAlias = NDArray[np.uint64]
I64: TypeAlias = NDArray[np.int64]

SCHEME = "words-2"  # goes up when a hash changes: hashes of two schemes never meet
CHUNK_BYTES = 1 << 18  # documents are hashed in chunks of about this size, which stay in the cache

FEW = 16  # characters, of which each is looked for by itself
_SOLID = (  # of Thai and Lao, Myanmar, Khmer, kana, Han
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
WORD = re.compile(rf"(?=[{_SOLID}])[^\W_]|(?:(?![{_SOLID}])[^\W_])+")
"""A word, in a text of any case."""
_SOLID_ONE = re.compile(rf"[{_SOLID}]")
_NOT_WORD = re.compile(r"[\W_]+")
_ASCII = bytes(range(128))
_SEED = 0x5EED_F1857
_MIX_1, _MIX_2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)  # of MurmurHash3's finaliser
_33 = np.uint64(33)


def _byte_values() -> tuple[U64, np.uint64]:
    """A random value per byte, the same for both cases of a letter and 0 for what is in no word, and the base."""
    random = np.random.Generator(np.random.Philox(_SEED)).integers(1, 2**64, 257, dtype=np.uint64)
    values = random[:256].copy()
    values[ord("A") : ord("Z") + 1] = values[ord("a") : ord("z") + 1]
    ascii_words = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", np.uint8)
    outside = np.arange(256) < 128
    outside[ascii_words] = False
    values[outside] = 0
    return values, random[256] | np.uint64(1)


_VALUE, _BASE = _byte_values()
_INVERSE = np.uint64(pow(int(_BASE), -1, 2**64))


@dataclass(frozen=True)
class Grams:
    """n-grams of documents: those of document i are ``hashes[ends[i - 1] : ends[i]]``, in the order of the text."""

    hashes: U64
    ends: I64

    def of(self, i: int) -> U64:
        return self.hashes[self.ends[i - 1] if i else 0 : self.ends[i]]


def mix(values: U64) -> U64:
    """MurmurHash3's 64-bit finaliser: a bijection that spreads each bit over all."""
    values = (values ^ (values >> _33)) * _MIX_1
    values = (values ^ (values >> _33)) * _MIX_2
    return values ^ (values >> _33)


def grams(texts: Sequence[str], words: int, whole: bool = False) -> Grams:
    """The n-grams of each text. With ``whole``, a text of fewer words has one: all of it."""
    parts, counts = [], []
    chunk: list[bytes] = []
    size = 0
    for text in [*texts, None]:
        if text is not None:
            chunk.append(_plain(text))
            size += len(chunk[-1])
        if chunk and (text is None or size >= CHUNK_BYTES):
            hashes, lengths = _chunk(chunk, words, whole)
            parts.append(hashes)
            counts.append(lengths)
            chunk, size = [], 0
    if not parts:
        return Grams(np.zeros(0, np.uint64), np.zeros(0, np.int64))
    return Grams(np.concatenate(parts), np.cumsum(np.concatenate(counts)))


def _plain(text: str) -> bytes:
    """The text's bytes, in which all that is not ASCII belongs to words; ends with a byte that belongs to none."""
    if text.isascii():
        return text.encode() + b"\n"
    text = text.lower()
    data = text.encode(errors="surrogatepass")
    others = set(data.translate(None, _ASCII).decode(errors="surrogatepass"))
    if _SOLID_ONE.search("".join(others)):
        text = _SOLID_ONE.sub(r" \g<0> ", text)
        data = text.encode(errors="surrogatepass")
    between = [character for character in others if not character.isalnum()]
    if len(between) > FEW:
        return _NOT_WORD.sub(" ", text).encode(errors="surrogatepass") + b"\n"
    for character in between:  # faster than one expression where they are few, as quotes and dashes are
        data = data.replace(character.encode(errors="surrogatepass"), b" ")
    return data + b"\n"


def _chunk(texts: list[bytes], words: int, whole: bool) -> tuple[U64, I64]:
    """n-gram hashes of some documents, and how many each has."""
    word, per_text = _words(texts)
    first = np.cumsum(per_text) - per_text  # where each document's words begin
    length = np.minimum(per_text, words) if whole else np.full_like(per_text, words)
    count = np.where(length > 0, np.maximum(per_text - length + 1, 0), 0)
    hashes = np.zeros(len(word), np.uint64)
    for k in range(words):
        hashes = hashes * _BASE
        hashes[: max(0, len(word) - k)] += word[k:]
    short = np.flatnonzero((per_text < words) & (count > 0))
    for i in short:  # few words: fold just these, not those of the next document
        value = 0
        for w in word[first[i] : first[i] + per_text[i]].tolist():
            value = (value * int(_BASE) + w) % 2**64
        hashes[first[i]] = value
    starts = np.repeat(first - (np.cumsum(count) - count), count) + np.arange(count.sum())
    return mix(hashes[starts]), count


def _words(texts: list[bytes]) -> tuple[U64, I64]:
    """The hashes of all words of some documents, and how many words each has."""
    data = np.frombuffer(b"".join(texts), np.uint8)
    value = _VALUE[data]
    inside = value != 0
    edges = np.flatnonzero(np.diff(inside, prepend=False))
    starts, ends = edges[::2], edges[1::2]
    power = _powers(len(data) + 1)
    running = np.cumsum(value * power[0][: len(data)], dtype=np.uint64)
    total = running[ends - 1] - np.where(starts > 0, running[starts - 1], np.uint64(0))
    word = mix(total * power[1][starts] + (ends - starts).astype(np.uint64))
    bounds = np.cumsum([len(text) for text in texts])
    return word, np.diff(np.searchsorted(starts, bounds), prepend=0)


_cache: list[tuple[U64, U64]] = []


def _powers(count: int) -> tuple[U64, U64]:
    """Powers of the base and of its inverse, at least so many; kept, because each chunk needs them."""
    if not _cache or len(_cache[0][0]) < count:
        count = max(count, 2 * CHUNK_BYTES)
        made = []
        for base in (_BASE, _INVERSE):
            factors = np.full(count, base, np.uint64)
            factors[0] = 1
            made.append(np.cumprod(factors, dtype=np.uint64))
        _cache[:] = [(made[0], made[1])]
    return _cache[0]
