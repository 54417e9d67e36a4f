"""Segments: every window in one, cut where equal text is cut, split without loss."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.substring import windows
from pipeline.corpus.substring.windows import Segments, Text

TEXTS = st.lists(st.text("ab", max_size=60) | st.text(max_size=60), max_size=6)


def text_of(*texts: str) -> Text:
    return Text.of(pa.chunked_array([texts], pa.large_string()))


def windows_of(found: Segments) -> list[int]:
    return [int(s["start"]) + i for s in found for i in range(s["count"])]


@settings(max_examples=50, deadline=None)
@given(texts=TEXTS, skip=st.integers(0, 3))
def test_a_column_is_seen_without_a_copy_whatever_its_offset(texts: list[str], skip: int) -> None:
    text = Text.of(pa.chunked_array([pa.array(texts, pa.large_string()).slice(skip)]))
    kept = [part.encode() for part in texts[skip:]]
    assert text.data.tobytes() == b"".join(kept)
    assert np.diff(text.ends, prepend=0).tolist() == [len(part) for part in kept]


@settings(max_examples=50, deadline=None)
@given(texts=TEXTS, length=st.integers(16, 40))
def test_each_window_is_in_one_segment_of_each_level(texts: list[str], length: int) -> None:
    text = text_of(*texts)
    if len(text.data) < length:
        return
    begins = np.concatenate([[0], text.ends[:-1]])
    expected = [p for a, b in zip(begins, text.ends, strict=True) for p in range(a, b - length + 1)]
    found = windows.segments(text, length, 0)
    assert windows_of(found) == expected
    far = found["far"]
    assert ((far - found["count"] + 1 >= 0) & (far < length // 2)).all()
    for block in windows.blocks(length):
        finer = windows.split(found, block)
        assert windows_of(finer) == expected and (finer["count"] <= block).all()
    assert (finer["count"] == 1).all()


def test_equal_windows_have_their_anchor_at_the_same_distance() -> None:
    draw = np.random.Generator(np.random.Philox(1))
    passage = bytes(draw.integers(97, 123, 3_000, dtype=np.uint8)).decode()
    text, length = text_of("x" * 1_234 + passage, passage + "y", "é" + passage), 100
    distance = {}
    for begin in range(0, len(text.data) - length + 1, windows.STARTS):
        for s in windows.segments(text, length, begin):
            for p in range(s["start"], s["start"] + s["count"]):
                window = text.data[p : p + length].tobytes()
                anchor = s["start"] + s["far"]
                assert distance.setdefault(window, anchor - p) == anchor - p
    assert len(distance) < len(passage) + 1_500


def test_blocks_of_windows_show_only_at_their_edges() -> None:
    draw = np.random.Generator(np.random.Philox(2))
    text = text_of(bytes(draw.integers(0, 128, 3 * windows.STARTS, dtype=np.uint8)).decode())
    found = [windows.segments(text, 200, begin) for begin in range(0, len(text.data) - 199, windows.STARTS)]
    assert [p for part in found for p in windows_of(part)] == list(range(len(text.data) - 199))
    anchors = np.concatenate([part["start"] + part["far"] for part in found])
    assert len(anchors) - len(np.unique(anchors)) <= len(found) - 1
    assert 40 < len(text.data) / len(anchors) < 60  # winnowing: (100 + 1) / 2 windows a segment


def test_a_period_folds_into_one_segment() -> None:
    text = text_of("abcabd" * 5_000)
    found = windows.segments(text, 200, 0)
    folded, hoods = windows.fold(found, windows.sign(text, found, 200, 100))
    assert len(found) > 4_900 and len(folded) == len(hoods) < 5
    assert (folded["count"] + folded["rest"]).sum() == found["count"].sum()
