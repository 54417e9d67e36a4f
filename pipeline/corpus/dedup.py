"""Duplicates: exact ones by hash; near ones proposed by LSH bands and decided on the text. Pure; knows no file.

A band hit is not a duplicate, and neither is a friend of a friend: half of what unverified LSH with transitive closure
removes is not one. So each removal has a partner that was kept and whose shingles were compared with its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.corpus.shingles import I64, U64, grams


@dataclass(frozen=True)
class Match:
    """Document ``dropped`` repeats document ``kept``; the score is the Jaccard index of their shingle sets."""

    dropped: int
    kept: int
    score: float


def exact(ids: Sequence[str], contents: Sequence[bytes]) -> dict[int, int]:
    """Dropped position -> kept position: of documents with one content the smallest id stays.

    Of records with one id, which are the same record, the first position stays.
    """
    first: dict[bytes, int] = {}
    dropped = {}
    for position in sorted(range(len(ids)), key=lambda i: (ids[i], i)):
        kept = first.setdefault(contents[position], position)
        if kept != position:
            dropped[position] = kept
    return dropped


def candidates(keys: U64, following: int) -> I64:
    """Pairs [n, 2], smaller position first, that share the key of a band. ``keys`` is [documents, bands].

    In a bucket each document meets the first one and the ``following`` next ones, so that a huge bucket stays linear.
    """
    found = [np.zeros((0, 2), np.int64)]
    for band in keys.T:
        order = np.argsort(band, kind="stable")
        key = band[order]
        fresh = np.diff(key, prepend=key[:1] + np.uint64(1)) != 0
        first = order[np.maximum.accumulate(np.where(fresh, np.arange(len(key)), 0))] if len(key) else order
        found.append(np.stack([first, order], axis=1)[first != order])
        for step in range(1, min(following, len(key) - 1) + 1):
            same = key[step:] == key[:-step]
            if not same.any():
                break
            found.append(np.stack([order[:-step][same], order[step:][same]], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def clusters(pairs: I64, documents: int) -> list[list[int]]:
    """Connected components of two or more documents, each sorted, in the order of their first members."""
    if not len(pairs):
        return []
    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(documents, documents))
    _, label = connected_components(graph, directed=False)
    members = np.unique(pairs)
    order = members[np.argsort(label[members], kind="stable")]
    cuts = np.flatnonzero(np.diff(label[order])) + 1
    return sorted(part.tolist() for part in np.split(order, cuts))


def decide(texts: Sequence[str], pairs: Sequence[tuple[int, int]], words: int, threshold: float) -> list[Match]:
    """What to drop of one cluster, whose texts stand in the order of preference: longest first, then smallest id.

    In that order a document is kept, unless it is close enough to a kept one among those that LSH proposed for it, or
    to the first of the cluster. The closest of them is its partner; of equally close ones the most preferred.
    """
    shingles = grams(texts, words, whole=True)
    sets = [np.unique(shingles.of(i)) for i in range(len(texts))]
    proposed: list[set[int]] = [{0} for _ in texts]
    for a, b in pairs:
        proposed[max(a, b)].add(min(a, b))
    matches: list[Match] = []
    gone: set[int] = set()
    for i in range(1, len(texts)):
        near = [(-jaccard(sets[i], sets[k]), k) for k in sorted(proposed[i] - gone)]
        best, kept = min(near, default=(0.0, 0))
        if -best >= threshold:
            gone.add(i)
            matches.append(Match(i, kept, round(-best, 6)))
    return matches


def jaccard(a: U64, b: U64) -> float:
    """|a and b| / |a or b| of two sorted arrays without repeats; 0 for two empty ones."""
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / max(1, len(a) + len(b) - shared)
