"""First of their kind, and the fate of questions, against dictionaries."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.substring.first import ALONE, LATER, OPEN, QUESTION, decide, first_of

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=30)


@settings(max_examples=50, deadline=None)
@given(rows=ROWS)
def test_first_of_equal_rows_also_where_half_a_hash_is_shared(rows: list[tuple[int, int]]) -> None:
    values = np.array(rows, np.uint64).reshape(-1, 2)
    assert first_of(values).tolist() == [rows.index(row) for row in rows]


@settings(max_examples=50, deadline=None)
@given(rows=ROWS)
def test_later_is_what_repeats_open_what_shares_its_core(rows: list[tuple[int, int]]) -> None:
    asked = np.zeros(len(rows), QUESTION)
    asked["key"] = [key for key, _ in rows]
    asked["hood"] = [(7, 10 * key + hood) for key, hood in rows] if rows else np.zeros((0, 2))
    fate, first = decide(asked)
    for i, (key, hood) in enumerate(rows):
        assert first[i] == rows.index((key, hood))
        others = {h for k, h in rows if k == key} - {hood}
        assert fate[i] == (LATER if first[i] < i else OPEN if others else ALONE)
