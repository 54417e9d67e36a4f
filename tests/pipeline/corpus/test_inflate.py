"""Compressed files: many members, damage that costs only what is behind it, and memory that does not follow it."""

import gzip
import io
import tracemalloc
from itertools import pairwise

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus import inflate
from tests.pipeline.corpus.readers.support import PACK

NAMES = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2"}
DATA = b"".join(b"line %d of many\n" % i for i in range(50_000))


def drained(data: bytes, suffix: str, size: int = 1 << 16) -> tuple[bytes, str]:
    """All that a file gives, and why it ended."""
    stream = inflate.inflated(io.BytesIO(data), "file" + suffix)
    parts: list[bytes] = []
    told = inflate.Damaged("", 0)
    try:
        while part := stream.read(size):
            parts.append(part)
    except inflate.Damaged as damage:
        told = damage
    got = b"".join(parts)
    assert max(map(len, parts), default=0) <= size
    assert not told.reason or (told.at == len(got) and (got.endswith(told.tail) or not got))
    return got, told.reason


@pytest.mark.parametrize("suffix", NAMES)
@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, len(DATA)), max_size=4), st.sampled_from([1 << 10, 1 << 16, 1 << 22]))
def test_many_members_are_one_stream(suffix: str, cuts: list[int], size: int) -> None:
    ends = [0, *sorted(cuts), len(DATA)]
    packed = b"".join(PACK[suffix](DATA[a:b]) for a, b in pairwise(ends))
    assert drained(packed, suffix, size) == (DATA, "")


def test_what_is_padded_or_skippable_is_whole() -> None:
    assert drained(PACK[".gz"](DATA) + bytes(1_000_000), ".gz") == (DATA, "")
    skip = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    assert drained(skip + PACK[".zst"](DATA) + skip + PACK[".zst"](b"x"), ".zst") == (DATA + b"x", "")


def test_a_large_window_is_read() -> None:
    options = zstandard.ZstdCompressionParameters(window_log=28, compression_level=1)
    packer = zstandard.ZstdCompressor(compression_params=options).compressobj()
    assert drained(packer.compress(DATA) + packer.flush(), ".zst") == (DATA, "")


@pytest.mark.parametrize("suffix", NAMES)
def test_a_file_cut_short_gives_what_stands_before(suffix: str) -> None:
    packed = PACK[suffix](DATA)
    for cut in (len(packed) - 1, len(packed) // 2, 6):
        got, reason = drained(packed[:cut], suffix)
        assert DATA.startswith(got) and reason == "truncated"
    assert drained(packed + packed[:-9], suffix)[0].startswith(DATA)


@pytest.mark.parametrize("suffix", NAMES)
def test_a_file_that_is_none_or_has_something_behind(suffix: str) -> None:
    for data in (b"", b"x", b"words that are not compressed"):
        assert drained(data, suffix) == (b"", f"not_{NAMES[suffix]}")
    assert drained(PACK[suffix](DATA) + b"garbage", suffix) == (DATA, "damaged")


@pytest.mark.parametrize("suffix", NAMES)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_damage_is_worse_than_its_name(suffix: str, data: st.DataObject) -> None:
    packed = bytearray(PACK[suffix](DATA[:3_000]))
    for at in data.draw(st.lists(st.integers(0, len(packed) - 1), min_size=1, max_size=4)):
        packed[at] = data.draw(st.integers(0, 255))
    got, reason = drained(bytes(packed), suffix)
    assert reason in ("", "damaged", "truncated", f"not_{NAMES[suffix]}")
    assert (
        len(got) < 50 * 10**6
    )  # a block of bzip2 holds 900,000 bytes, which its run lengths may make 52 times as long


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_memory_does_not_follow_a_bomb(suffix: str) -> None:
    packer = zstandard.ZstdCompressor(level=1) if suffix == ".zst" else None
    packed = packer.compress(bytes(300_000_000)) if packer else gzip.compress(bytes(300_000_000), 1)
    stream = inflate.inflated(io.BytesIO(packed), "bomb" + suffix)
    tracemalloc.start()
    size = 0
    while part := stream.read(1 << 20):
        size += len(part)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size == 300_000_000 and peak < 80_000_000


def test_the_suffix_says_what_is_compressed() -> None:
    assert [inflate.suffix_of(name) for name in ("a.jsonl.gz", "a.zst", "a.bz2", "a.gzip", "gz")] == [
        ".gz", ".zst", ".bz2", "", "",
    ]  # fmt: skip
