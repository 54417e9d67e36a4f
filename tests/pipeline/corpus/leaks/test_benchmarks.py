"""Benchmark files: texts are found in any layout, and what cannot be read is told."""

import bz2
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from cluster.errors import SourceError
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.leaks import benchmarks


def test_texts_are_found_wherever_they_stand_and_parted_at_labels(tmp_path: Path) -> None:
    path = tmp_path / "quiz.jsonl"
    records = [
        {
            "query": "Passage: Salt melts ice.\nQuestion: What does salt do?\nAnswer:",
            "choices": ["melts", "b"],
            "gold": 1,
        },
        {"nested": {"turns": [{"text": "Who is it?"}]}, "number": 7},
    ]
    path.write_text("\ufeff" + "\n\n".join(json.dumps(record) for record in records) + "\n")
    found = list(benchmarks.read(path))
    assert [item.name for item in found] == ["quiz:1", "quiz:2"]
    assert found[0].texts == ("melts", "b", " Salt melts ice.", " What does salt do?")
    assert found[1].texts == ("Who is it?",)


def test_csv_has_the_delimiter_of_its_head(tmp_path: Path) -> None:
    path = tmp_path / "hate.csv"
    path.write_text('comment;isHate\n"said, ""no"";\nand went";1.0\nplain, text;0.0\n')
    assert [item.texts[0] for item in benchmarks.read(path)] == ['said, "no";\nand went', "plain, text"]


def test_files_are_sorted_by_benchmark_and_found_by_glob(tmp_path: Path) -> None:
    for name in ("b/zeta.jsonl", "a/eta.jsonl.gz", "a/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress(b'{"q": "one two"}\n') if name.endswith("gz") else b'{"q": "one two"}\n')
    config = CorpusConfig.model_validate({"decontaminate": {"against": [f"{tmp_path}/**/*.jsonl*"]}})
    paths = benchmarks.outside(config)
    assert [benchmarks.name_of(Path(path)) for path in paths] == ["eta", "zeta"]
    assert [item.name for path in paths for item in benchmarks.read(Path(path))] == ["eta:1", "zeta:1"]


def test_mistakes_name_the_field_and_the_remedy(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"q": 1}\n{"q": \n')
    with pytest.raises(SourceError, match=r"against.*line 2.*not JSON"):
        list(benchmarks.read(broken))
    with pytest.raises(SourceError, match="no such file"):
        benchmarks.files([f"{tmp_path}/none*.jsonl"])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "broken.csv").write_text("a\nb\n")
    with pytest.raises(SourceError, match="2 files are this benchmark"):
        benchmarks.files([f"{tmp_path}/**/broken*"])
    (tmp_path / "page.html").write_text("x")
    with pytest.raises(SourceError, match=r"jsonl, \.csv"):
        benchmarks.files([f"{tmp_path}/page.html"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no such file"):
        benchmarks.files([f"{tmp_path}/empty"])


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("quiz.jsonl.gz", b"not gzip"),
        ("quiz.jsonl.gz", gzip.compress(b'{"q": "one"}\n' * 99)[:-9]),
        ("quiz.parquet", b"PAR1 and no more"),
        ("quiz.csv.zst", b"a,b"),
    ],
)
def test_a_broken_file_is_told_before_there_is_work_to_lose(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=f"{name}.*cannot be read"):
        benchmarks.check([str(tmp_path / name)])


def test_of_a_folder_the_files_that_can_be_read_in_all_forms(tmp_path: Path) -> None:
    lines = b'{"q": "one two"}\n'
    (tmp_path / "in").mkdir()
    for name, data in (
        ("a.jsonl", lines),
        ("in/b.JSONL.zst", zstandard.compress(lines)),
        ("c.jsonl.bz2", bz2.compress(lines)),
        ("README.md", b"x"),
        (".d.jsonl", lines),
    ):
        (tmp_path / name).write_bytes(data)
    pq.write_table(pa.table({"q": ["one two"], "n": [1]}), tmp_path / "e.parquet")
    found = [item for path in benchmarks.files([str(tmp_path)]) for item in benchmarks.read(path)]
    assert [item.name for item in found] == ["a:1", "b:1", "c:1", "e:1"]
    assert all(item.texts == ("one two",) for item in found)


@pytest.mark.parametrize("head", ["", "question,A,B,answer\n", "Question Text,Best Answer,x,y\n"])
def test_a_csv_without_a_head_keeps_its_first_item(tmp_path: Path, head: str) -> None:
    path = tmp_path / "mmlu.csv"
    rows = ['"Which gas do green plants; take; from; the air?",oxygen,none,A', "Why is it so?,because,not,B"]
    path.write_text(head + "\n".join(rows))
    found = [item.texts[:3] for item in benchmarks.read(path)]
    assert found == [
        ("Which gas do green plants; take; from; the air?", "oxygen", "none"),
        ("Why is it so?", "because", "not"),
    ]
