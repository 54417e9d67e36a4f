"""Training documents that hold held-out text, by word n-grams. Pure; knows no file.

The rule: a training document is dropped when it shares ``min_hits`` different n-grams with the held-out text, or half
of its own. n-grams that stand in more than ``common`` training documents do not count: they are licences, idioms and
famous quotes. (Near-copies of one document were reduced to one before this, so a leak is rare by construction.)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.corpus.config import DecontaminateConfig
from pipeline.corpus.shingles import I64, U64, grams

SHARE = 0.5


@dataclass(frozen=True)
class Index:
    """Sorted n-gram hashes of the held-out text, each with the number of the first document that has it."""

    hashes: U64
    documents: I64

    def to_bytes(self) -> bytes:
        return np.concatenate([self.hashes.astype("<u8"), self.documents.astype("<u8")]).tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Index":
        both = np.frombuffer(data, "<u8")
        return cls(both[: len(both) // 2], both[len(both) // 2 :].astype(np.int64))


@dataclass(frozen=True)
class Hits:
    """Shared n-grams, one row each: which training document, which n-gram, which held-out document, of how many."""

    document: I64
    gram: U64
    heldout: I64
    of: I64


@dataclass(frozen=True)
class Leak:
    """A training document that holds text of a held-out one; ``hits`` n-grams of it."""

    document: int
    heldout: int
    hits: int


def index(texts: Sequence[str], words: int) -> Index:
    """The n-grams of the held-out texts."""
    made = grams(texts, words, whole=True)
    hashes, first = np.unique(made.hashes, return_index=True)
    return Index(hashes, np.searchsorted(made.ends, first, side="right").astype(np.int64))


def find(texts: Sequence[str], heldout: Index, words: int) -> Hits:
    """Each n-gram that a training text shares with the held-out text, once a document."""
    made = grams(texts, words, whole=True)
    if not len(heldout.hashes) or not len(made.hashes):
        none = np.zeros(0, np.int64)
        return Hits(none, none.astype(np.uint64), none, none)
    place = np.minimum(np.searchsorted(heldout.hashes, made.hashes), len(heldout.hashes) - 1)
    hit = np.flatnonzero(heldout.hashes[place] == made.hashes)
    document = np.searchsorted(made.ends, hit, side="right")
    rows = np.unique(np.stack([document, place[hit]], axis=1), axis=0) if len(hit) else np.zeros((0, 2), np.int64)
    size = np.diff(made.ends, prepend=0)
    return Hits(rows[:, 0], heldout.hashes[rows[:, 1]], heldout.documents[rows[:, 1]], size[rows[:, 0]])


def judge(hits: Hits, config: DecontaminateConfig) -> list[Leak]:
    """The training documents to drop, by number, from the hits of all of them."""
    _, gram, seen = np.unique(hits.gram, return_inverse=True, return_counts=True)
    rare = seen[gram] <= config.common
    leaks = []
    for document in np.unique(hits.document[rare]).tolist():
        own = rare & (hits.document == document)
        count = int(own.sum())
        if count >= min(config.min_hits, SHARE * int(hits.of[own][0])):
            partners, shared = np.unique(hits.heldout[own], return_counts=True)
            leaks.append(Leak(document, int(partners[shared.argmax()]), count))
    return leaks


def knows(still: U64, words: int, min_hits: int) -> Callable[[str], bool]:
    """Whether a text stands in the training text, by the same measure but with boilerplate counted.

    ``still`` are the hashes of the held-out n-grams that the training text has after the leaks are gone.
    """
    shared = np.unique(still)

    def known(text: str) -> bool:
        own = grams([text], words, whole=True).hashes
        hits = int(np.isin(own, shared).sum())
        return hits > 0 and hits >= min(min_hits, SHARE * len(own))

    return known
