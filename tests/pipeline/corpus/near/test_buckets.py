"""Buckets of equal keys against a loop."""

from collections import defaultdict

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.near import buckets

keys_of = st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), max_size=30)


def array(keys: list[list[int]]) -> np.ndarray:
    return np.array(keys, np.uint64).reshape(-1, 3) << np.uint64(60)


@settings(max_examples=50, deadline=None)
@given(keys_of, st.integers(0, 30))
def test_edges_go_from_the_first_of_a_bucket_to_each_other_one(keys: list[list[int]], old_from: int) -> None:
    places = np.arange(len(keys), dtype=np.uint64)
    places[old_from:] += buckets.OLD
    expected = set()
    for value in range(10):
        own = [i for i, own in enumerate(keys) if value in own]
        if own and own[0] < old_from:
            expected |= {(int(places[own[0]]), int(places[i])) for i in own[1:]}
    first, other = buckets.edges(array(keys), places)
    found = set(zip(first.tolist(), other.tolist(), strict=True))
    assert {pair for pair in found if pair[0] != pair[1]} == expected


@settings(max_examples=50, deadline=None)
@given(keys_of, st.integers(1, 4), st.integers(1, 5))
def test_records_are_the_smallest_rows_of_each_key_and_come_back_by_part(
    keys: list[list[int]], most: int, parts: int
) -> None:
    rows = np.arange(len(keys)) * 2
    by_key = defaultdict(list)
    for row, own in zip(rows.tolist(), keys, strict=True):
        for value in own:
            by_key[value].append(row)
    expected = [(value << 60, row) for value in sorted(by_key) for row in by_key[value][:most]]
    key, row = buckets.ranked(array(keys), rows, most)
    assert list(zip(key.tolist(), row.tolist(), strict=True)) == expected
    read = [buckets.unpack(part, 7 << 32) for part in buckets.spread(key, row, parts)]
    assert np.concatenate([k for k, _ in read]).tolist() == key.tolist()
    assert np.concatenate([p for _, p in read]).tolist() == [(7 << 32) + r for _, r in expected]


def test_a_million_records_of_one_key_give_as_many_edges() -> None:
    places = np.arange(1_000_000, dtype=np.uint64)
    first, other = buckets.edges(np.zeros(len(places), np.uint64), places)
    assert len(first) == len(places) - 1 and not first.any() and other[0] == 1
    key, row = buckets.ranked(np.zeros((1000, 14), np.uint64), np.arange(1000), 1)
    assert key.tolist() == [0] and row.tolist() == [0]
