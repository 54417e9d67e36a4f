"""The decision on the text: which members of clusters go, each with its evidence. Knows no file but its own scratch.

A band hit is not a duplicate, and neither is a friend of a friend: half of what unverified LSH with transitive closure
removes is not one. So a document goes only for a partner that stays and whose shingles were compared with its own.
"""

import os
import tempfile
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.corpus import documents
from pipeline.corpus.near.buckets import OLD
from pipeline.corpus.near.config import DedupConfig
from pipeline.corpus.shingles import I64, U64, Grams


@dataclass(frozen=True)
class Removal:
    """Document ``gone`` repeats document ``kept``: similar_text (Jaccard) or contained_text (share of its shingles)."""

    gone: int
    kept: int
    reason: str
    score: float


class Sets:
    """The shingle sets of documents, sorted, in a file of the machine's own: a cluster may be larger than memory."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()
        self.ends = [0]

    def add(self, grams: Grams) -> None:
        """Append the sets of some documents."""
        for i in range(len(grams.ends)):
            values = np.unique(grams.of(i))
            self._file.write(values.tobytes())
            self.ends.append(self.ends[-1] + len(values))
        self._file.flush()

    def size(self, i: int) -> int:
        return self.ends[i + 1] - self.ends[i]

    def of(self, i: int) -> U64:
        data = os.pread(self._file.fileno(), 8 * self.size(i), 8 * self.ends[i])
        return np.frombuffer(data, np.uint64)

    def close(self) -> None:
        self._file.close()


def preference(members: pa.Table, config: DedupConfig) -> I64:
    """Positions of members, cluster by cluster: earlier runs' documents first, then by the rules of survival."""
    place = members["place"].to_numpy()
    columns = {
        "priority": -members["priority"].to_numpy(),
        "quality": -members["quality"].to_numpy(),
        "length": -members["length"].to_numpy(),
        "id": place,
    }
    rules: list[Any] = [columns[rule] for rule in config.survivor]
    return np.lexsort([place, *reversed(rules), place < OLD, members["cluster"].to_numpy()])


def decide(order: I64, old: Any, keys: U64, sets: Sets, config: DedupConfig) -> tuple[list[Removal], int]:
    """Who goes, in the order of preference, and how many pairs of texts were compared.

    Args:
        order: positions of documents, the most preferred of each cluster first.
        old: [documents], those of earlier runs, which stay.
        keys: [documents, bands].
        sets: the documents' shingles.

    A document stays, unless it is close enough to one of the ``bucket_pairs`` kept ones that share most bands with it;
    of these the more preferred come first. A band key remembers as many kept documents, so that a bucket of a million
    that all stay costs no square.
    """
    bucket = _buckets(keys)
    kept: dict[int, list[int]] = {}  # bucket -> turns of documents that stay
    removals: list[Removal] = []
    compared = 0
    for turn, i in enumerate(order.tolist()):
        own = bucket[i][bucket[i] >= 0].tolist()
        if not old[i]:
            shared = Counter(other for b in own for other in kept.get(b, ()))
            tried = sorted(shared, key=lambda other: (-shared[other], other))[: config.bucket_pairs]
            compared += len(tried)
            best = _best(i, [int(order[other]) for other in tried], sets, config)
            if best:
                removals.append(best)
                continue
        for b in own:
            known = kept.setdefault(b, [])
            if len(known) < config.bucket_pairs:
                known.append(turn)
    return removals, compared


def _best(i: int, kept: list[int], sets: Sets, config: DedupConfig) -> Removal | None:
    """The best evidence against a document: similarity before containment, then the score, then preference."""
    if not kept:
        return None
    own = sets.of(i)
    contained = Removal(i, -1, "contained_text", 0.0)
    similar = Removal(i, -1, "similar_text", 0.0)
    for k in kept:
        common = shared(own, sets.of(k))
        score = common / max(1, len(own) + sets.size(k) - common)
        if score > similar.score:
            similar = Removal(i, k, similar.reason, score)
        inside = common / max(1, len(own))
        if len(own) <= sets.size(k) and inside > contained.score:
            contained = Removal(i, k, contained.reason, inside)
    if similar.score >= config.threshold:
        return similar
    return contained if 0 < config.containment <= contained.score else None


def shared(a: U64, b: U64) -> int:
    """How many values two sorted arrays without repeats have in common."""
    if len(a) == len(b) and (a == b).all():
        return len(a)
    both = np.concatenate([a, b])
    both.sort(kind="stable")  # two sorted runs: one merge
    return int((both[1:] == both[:-1]).sum())


def _buckets(keys: U64) -> I64:
    """Keys as small numbers, -1 for those of one document only: most keys, so that they cost no memory."""
    _, at, count = np.unique(keys, return_inverse=True, return_counts=True)
    at = at.reshape(keys.shape)
    return np.where(count[at] > 1, at, -1)


def fates(members: pa.Table, removals: list[Removal]) -> pa.Table:
    """Removals as the fates of documents: place, reason, score, partner's id, id of the cluster's first member."""
    by_place = dict(zip(members["place"].to_pylist(), members["id"].to_pylist(), strict=True))
    gone = members.take(pa.array([removal.gone for removal in removals], pa.int64()))
    partner = members["id"].take(pa.array([removal.kept for removal in removals], pa.int64()))
    columns: list[Any] = [
        gone["place"],
        [removal.reason for removal in removals],
        [round(removal.score, 6) for removal in removals],
        partner,
        [by_place.get(place, "") for place in gone["cluster"].to_pylist()],
    ]
    return pa.table(columns, names=documents.FATES.names).cast(documents.FATES)
