"""Ranges against marks on single bytes, and what words look like after a cut."""

import re
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.substring.ranges import Ranges, snap, union
from pipeline.corpus.substring.windows import Text

TEXTS = st.lists(st.text("ab é界\U0001f600,", max_size=12), min_size=1, max_size=4)
PAIRS = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=8)
WORD = re.compile("[0-9A-Za-z\u0080-\u1fff]")


def some(texts: list[str], pairs: list[tuple[int, int]]) -> tuple[Text, Ranges]:
    """Ranges that lie in one document each."""
    text = Text.of(pa.chunked_array([texts], pa.large_string()))
    made = []
    for a, b in pairs:
        a, b = sorted((a % (len(text.data) + 1), b % (len(text.data) + 1)))
        if a < b and text.document(np.array([a]))[0] == text.document(np.array([b - 1]))[0]:
            made.append((a, b))
    bounds = np.array(made, np.int64).reshape(-1, 2)
    partner = np.stack([np.arange(len(bounds))] * 2, axis=1).astype(np.uint64)
    return text, Ranges(bounds[:, 0], bounds[:, 1], partner)


def marks(text: Text, found: Ranges) -> list[bool]:
    gone = np.zeros(len(text.data), bool)
    for a, b in zip(found.start, found.end, strict=True):
        gone[a:b] = True
    return gone.tolist()


@settings(max_examples=100, deadline=None)
@given(texts=TEXTS, pairs=PAIRS)
def test_a_union_is_sorted_disjoint_and_within_documents(texts: list[str], pairs: list[tuple[int, int]]) -> None:
    text, found = some(texts, pairs)
    one = union(text, found)
    assert marks(text, one) == marks(text, found)
    assert (one.start < one.end).all() and (one.end[:-1] <= one.start[1:]).all()
    assert (text.document(one.start) == text.document(one.end - 1)).all()
    for start, partner in zip(one.start, one.partner[:, 0], strict=True):
        assert found.start[int(partner)] == start


@settings(max_examples=200, deadline=None)
@given(texts=TEXTS, pairs=PAIRS, words=st.booleans())
def test_snapping_only_shrinks_and_leaves_whole_things(
    texts: list[str], pairs: list[tuple[int, int]], words: bool
) -> None:
    text, found = some(texts, pairs)
    found = union(text, found)
    snapped = snap(text, found, words)
    before, after = marks(text, found), marks(text, snapped)
    assert all(b or not a for a, b in zip(after, before, strict=True))
    at = 0
    for part in texts:
        seen: list[tuple[str, bool]] = []
        for character in part:
            size = len(character.encode())
            gone = after[at : at + size]
            assert all(gone) or not any(gone)
            if not words:
                assert all(gone) == all(before[at : at + size])
            seen.append((character, gone[0]))
            at += size
        if words:
            _no_word_is_cut(seen)


def _no_word_is_cut(seen: list[tuple[str, bool]]) -> None:
    inside = [bool(WORD.match(character)) for character, _ in seen]
    for i in range(1, len(seen)):
        if inside[i - 1] and inside[i]:
            assert seen[i - 1][1] == seen[i][1]
    left = [i for i, (_, gone) in enumerate(seen) if not gone]
    for a, b in pairwise(left):
        assert b == a + 1 or not (inside[a] and inside[b]), "two words became one"


@pytest.mark.parametrize(
    ("start", "end", "left"),
    [
        (12, 26, "Alice wanted store"),  # one separator stays, or the words would be glued
        (9, 29, "Alice wanted store"),
        (13, 27, "Alice wanted store"),
        (0, 6, "wanted to go to the store"),
        (7, 12, "Alice wanted to go to the store"),
    ],
)
def test_words(start: int, end: int, left: str) -> None:
    sentence = "Alice wanted to go to the store"
    text, found = some([sentence], [(start, end)])
    gone = marks(text, snap(text, found, True))
    assert "".join(c for c, g in zip(sentence, gone, strict=True) if not g) == left


def test_many_documents_at_once() -> None:
    texts = ["word " * 60_000, "", "x", "and more " * 200_000, "last"]
    text = Text.of(pa.chunked_array([texts], pa.large_string()))
    ends = text.ends
    start = np.array([2, int(ends[2]) - 1, int(ends[2]) + 1, int(ends[3])])
    end = np.array([int(ends[0]), int(ends[2]), int(ends[3]) - 3, int(ends[4])])
    snapped = snap(text, Ranges(start, end, np.zeros((4, 2), np.uint64)), True)
    assert (snapped.start - start).tolist() == [3, 0, 3, 0] and (end - snapped.end).tolist() == [0, 0, 2, 0]
