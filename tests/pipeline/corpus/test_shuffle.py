"""The exchange: every row arrives once, in the part of its key, and a broken part is refused."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.errors import CorruptPiece
from pipeline.corpus import shuffle
from pipeline.stage import StageFolder

ROW = np.dtype([("key", "<u8"), ("value", "<i4")])


def folder(path: Path) -> StageFolder:
    return StageFolder.open(str(path), "corpus", "f")


@settings(max_examples=30, deadline=None)
@given(keys=st.lists(st.integers(0, 2**64 - 1), max_size=60), parts=st.integers(1, 9))
def test_parts_are_ranges_of_the_hash_and_hold_every_row_once(keys: list[int], parts: int) -> None:
    rows = np.zeros(len(keys), ROW)
    rows["key"], rows["value"] = np.array(keys, np.uint64), np.arange(len(keys))
    part = shuffle.part_of(rows["key"], parts)
    split = [np.frombuffer(data, ROW) for data in shuffle.scatter(rows, part, parts)]
    assert sorted(np.concatenate(split)["value"].tolist()) == list(range(len(keys)))
    ends = [(some["key"].min(), some["key"].max()) for some in split if len(some)]
    assert all(before[1] <= after[0] for before, after in pairwise(ends))
    assert all(some["value"].tolist() == sorted(some["value"].tolist()) for some in split)


def test_a_reader_takes_its_part_of_each_file(tmp_path: Path) -> None:
    to = folder(tmp_path)
    for number, name in enumerate(shuffle.names("work/x", 3)):
        rows = np.array([(k << 40, number) for k in range(4)], ROW)
        shuffle.write(to, name, shuffle.scatter(rows, np.array([0, 1, 1, 3]), 4))
    names = list(shuffle.names("work/x", 3))
    assert shuffle.gather(to, names, 1, ROW)["value"].tolist() == [0, 0, 1, 1, 2, 2]
    assert len(shuffle.gather(to, names, 2, ROW)) == 0
    with pytest.raises(AssertionError):
        shuffle.take(to, names[0], 4)


def test_a_changed_byte_is_found_in_its_part_alone(tmp_path: Path) -> None:
    to = folder(tmp_path)
    shuffle.write(to, "work/x.bin", [b"one", b"two", b""])
    path = to.storage.path("corpus/work/x.bin")
    path.write_bytes(path.read_bytes().replace(b"two", b"twa"))
    assert shuffle.take(to, "work/x.bin", 0) == b"one" and shuffle.take(to, "work/x.bin", 2) == b""
    with pytest.raises(CorruptPiece, match="part 1"):
        shuffle.take(to, "work/x.bin", 1)
    path.write_bytes(b"")
    with pytest.raises(CorruptPiece):
        shuffle.take(to, "work/x.bin", 0)
