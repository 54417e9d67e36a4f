"""Whatever a file holds, a reader gives documents and records set aside, or says what the user must mend."""

import json
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.errors import SourceError
from pipeline.corpus.records import Raw
from tests.pipeline.corpus.readers.support import PACK, http, page, read, record, table
from tests.pipeline.corpus.readers.test_trees import FILES

LINES = b"".join(json.dumps({"text": f"größer {i}", "meta": {"url": [i]}}).encode() + b"\n" for i in range(9))
WORDS = {"text": [f"row {i}" for i in range(40)], "n": list(range(40))}
VALID: dict[str, tuple[str, bytes]] = {
    "jsonl": ("a.jsonl", LINES),
    "jsonl.gz": ("a.jsonl.gz", PACK[".gz"](LINES)),
    "jsonl.zst": ("a.jsonl.zst", PACK[".zst"](LINES)),
    "parquet": ("a.parquet", table(WORDS, row_group_size=20)),
    "parquet.zstd": ("a.parquet", table(WORDS, row_group_size=20, compression="zstd", use_dictionary=False)),
    "csv": ("a.csv", b'text,n\none,1\n"two ""and""\nmore",2\n'),
    "text": ("a.txt", "größer".encode()),
    "markdown": ("a.md", b"# Head\n\n*words*"),
    "code": ("a.py", b"print(1)\n"),
    "html": ("a.html", page("words " * 20).encode()),
    "warc": ("a.warc", record(http(page("words " * 20).encode())) * 2),
    "warc.gz": (
        "a.warc.gz",
        PACK[".gz"](record(http(PACK[".gz"](page("words").encode()), more="Content-Encoding: gzip\r\n"))),
    ),
    **{kind: (f"a.{kind}", data) for kind, data in FILES.items()},
}


@st.composite
def spoilt(draw: st.DrawFn, valid: bytes) -> bytes:
    """A file with some bytes changed, cut out, put in or put twice; or any bytes at all."""
    data = bytearray(valid)
    for _ in range(draw(st.integers(0, 4))):
        start, length = draw(st.integers(0, len(data))), draw(st.integers(0, 40))
        how = draw(st.sampled_from(["change", "cut", "put", "twice", "end"]))
        if how == "change":
            data[start : start + 4] = draw(st.binary(min_size=1, max_size=4))
        elif how == "cut":
            del data[start : start + length]
        elif how == "put":
            data[start:start] = draw(
                st.sampled_from([b"\0", b"\xff\xfe", b'"', b"\n", b"[" * 300, b"<b>" * 300, b"\r\n\r\n"])
            )
        elif how == "twice":
            data[start:start] = data[start : start + length]
        else:
            del data[start:]
    return bytes(data) if draw(st.integers(0, 9)) else draw(st.binary(max_size=300))


def check(raw: Raw, path: Path) -> None:
    """What every later step relies on."""
    assert len(raw["id"]) == 32 and raw["source"] == "s"
    raw["text"].encode()
    if "reason" in raw:
        assert raw["step"] == "read" and raw.get("where", "").startswith(f"{path}, ") and raw["score"] >= 0
    else:
        raw["meta"].encode()
        assert not raw["meta"] or isinstance(json.loads(raw["meta"]), dict)


@pytest.mark.parametrize("case", VALID)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_bytes_end_a_run_but_by_a_word_to_the_user(case: str, data: st.DataObject) -> None:
    name, valid = VALID[case]
    held = data.draw(spoilt(valid))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(held)
        with suppress(SourceError):
            for raw in read(path, case.partition(".")[0], group_bytes=data.draw(st.sampled_from([37, 5_000]))):
                check(raw, path)
