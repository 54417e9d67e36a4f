"""An object store: the same documents as from the disk, globs, and what cannot be read."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import fs

from cluster.errors import SourceError
from pipeline.corpus import files
from pipeline.corpus.extract import extract
from pipeline.corpus.locate import content_digest, listed, units
from pipeline.corpus.readers.config import Source
from tests.pipeline.corpus.readers.support import http, page, record, table, texts

JSONL = b"".join(json.dumps({"text": f"line {i}"}).encode() + b"\n" for i in range(300))
STORED = {
    "in/a.jsonl": JSONL,
    "in/deep/er/b.jsonl.gz": gzip.compress(b'{"text": "zipped"}\n', mtime=0),
    "in/deep/c.parquet": table({"text": ["row 1", "row 2"]}),
    "in/d.html": page("words " * 30).encode(),
    "in/e.warc.gz": gzip.compress(record(http(page("more words " * 30).encode())), mtime=0),
    "in/.hidden.jsonl": b'{"text": "hidden"}\n',
    "other/f.jsonl": b'{"text": "other"}\n',
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = pytest.importorskip("moto.server", reason="moto[server] is not installed").ThreadedMotoServer(
        port=0, verbose=False
    )
    server.start()
    patch = pytest.MonkeyPatch()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.setenv(name, "test")
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    host, port = server.get_host_and_port()
    store = fs.S3FileSystem(endpoint_override=f"{host}:{port}", scheme="http", allow_bucket_creation=True)
    store.create_dir("bucket")
    for name, data in STORED.items():
        with store.open_output_stream(f"bucket/{name}", compression=None) as file:
            file.write(data)
    yield f"http://{host}:{port}"
    patch.undo()
    server.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("local")
    for name, data in STORED.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(data)
    return top


def source(kind: str, path: str, endpoint: str = "") -> Source:
    return Source.model_validate({"name": "s", "kind": kind, "path": path, "endpoint": endpoint})


def documents(source: Source, group_bytes: int = 1_000) -> list[str]:
    return sorted(raw["id"] for unit in units([source], group_bytes) for raw in extract(source, unit, 100_000))


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "html", "warc"])
def test_the_same_documents_and_digest_from_store_and_disk(endpoint: str, folder: Path, kind: str) -> None:
    here, there = source(kind, f"{folder}/in"), source(kind, "s3://bucket/in", endpoint)
    found = documents(there)
    assert len(found) == {"jsonl": 301, "parquet": 2, "html": 1, "warc": 1}[kind]
    assert found == documents(here) and content_digest([there]) == content_digest([here])


def test_what_is_passed_over_is_counted_alike(endpoint: str, folder: Path) -> None:
    for top in (source("html", "s3://bucket/in", endpoint), source("html", f"{folder}/in")):
        over: Counter[str] = Counter()
        assert len(listed(top, over)) == 1 and over == {files.OTHER_KIND: 4}


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("", ["in/a.jsonl", "in/deep/er/b.jsonl.gz", "other/f.jsonl"]),
        ("/in/", ["in/a.jsonl", "in/deep/er/b.jsonl.gz"]),
        ("/in/*.jsonl", ["in/a.jsonl"]),
        ("/*/[a-e].jsonl", ["in/a.jsonl"]),
        ("/**/*.jsonl*", ["in/a.jsonl", "in/deep/er/b.jsonl.gz", "other/f.jsonl"]),
        ("/in/deep/**", ["in/deep/c.parquet", "in/deep/er/b.jsonl.gz"]),
        ("/in/d?ep/*/b*", ["in/deep/er/b.jsonl.gz"]),
        ("/in/.hidden.jsonl", ["in/.hidden.jsonl"]),
    ],
)
def test_folders_globs_and_names(endpoint: str, folder: Path, path: str, names: list[str]) -> None:
    there = listed(source("jsonl", f"s3://bucket{path}", endpoint))
    assert [file.path for file in there] == [f"s3://bucket/{name}" for name in names]
    assert [file.size for file in there] == [len(STORED[name]) for name in names]
    here = listed(source("jsonl", f"{folder}{path}"))
    assert [file.path for file in here] == [f"{folder}/{name}" for name in names]


def test_the_endpoint_may_come_from_the_environment(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    assert documents(source("jsonl", "s3://bucket/other"))


def test_what_is_not_there_is_an_error_of_the_user(endpoint: str) -> None:
    for path in ("s3://bucket/nowhere", "s3://nobucket/in", "s3://bucket/in/*.none"):
        with pytest.raises(SourceError, match=r"corpus\.sources\.s\.path"):
            listed(source("jsonl", path, endpoint))
    with pytest.raises(SourceError, match="cannot be read"):
        files.digest_of(source("jsonl", "s3://bucket/in", endpoint), "s3://bucket/gone.jsonl")


def test_a_store_that_goes_away_while_a_table_is_read_is_no_damage_of_the_table(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = source("parquet", "s3://bucket/in", endpoint)
    (unit,) = units([there], 10_000)

    def gone(*_: object) -> int:
        raise OSError(5, "connection lost")

    monkeypatch.setattr(files._File, "readinto", lambda self, buffer: files.unreadable_is_told(there, "x")(gone)())
    with pytest.raises(SourceError, match="connection lost"):
        list(extract(there, unit, 1_000))


def test_a_link_keeps_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "1f").write_bytes(STORED["in/deep/er/b.jsonl.gz"])
    (tmp_path / "a.jsonl.gz").symlink_to(tmp_path / "blobs" / "1f")
    (tmp_path / "b.jsonl.gz").symlink_to(tmp_path / "blobs" / "1f")
    found = source("jsonl", str(tmp_path))
    assert [texts(list(extract(found, unit, 100))) for unit in units([found], 100)] == [["zipped"]]
