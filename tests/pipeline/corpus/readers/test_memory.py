"""Memory follows the record, not the file: processes of their own read files many times as large as they may become."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipeline.corpus.readers.support import http, page, record, table

READ = """
import sys
from pipeline.corpus.extract import extract
from pipeline.corpus.locate import units
from pipeline.corpus.readers.config import Source

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) // 1000

def read(path):
    source = Source(name="s", kind=sys.argv[1], path=path)
    return sum(len(raw["text"]) for unit in units([source], 4_000_000) for raw in extract(source, unit, 1_000_000))

read(sys.argv[2])
before = peak()
size = read(sys.argv[3])
print(size, peak() - before)
"""
MEGABYTES = 200
LINE = json.dumps({"text": "words " * 1_000}).encode() + b"\n"
PAGE = record(http(page("words " * 1_000).encode()))


def file_of(kind: str, path: Path, times: int) -> None:
    """A file of so many records of 6 kB."""
    if kind == "parquet":
        path.write_bytes(table({"text": ["words " * 1_000] * times}, use_dictionary=False, row_group_size=10**6))
        return
    with gzip.open(path, "wb", 1) as file:
        for _ in range(times // 100):
            file.write((LINE if kind == "jsonl" else PAGE) * 100)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("kind", "suffix"), [("jsonl", ".jsonl.gz"), ("warc", ".warc.gz"), ("parquet", ".parquet")])
def test_peak_memory_of_a_file_of_200_mb(tmp_path: Path, kind: str, suffix: str) -> None:
    small, large = tmp_path / f"small{suffix}", tmp_path / f"large{suffix}"
    file_of(kind, small, 100)
    times = MEGABYTES * 1_000_000 // 6_000
    file_of(kind, large, times)
    command = [sys.executable, "-c", READ, kind, str(small), str(large)]
    out = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[4]).stdout
    size, grown = map(int, out.split())
    assert size > MEGABYTES * 990_000 and grown < 60
