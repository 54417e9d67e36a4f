"""Pieces: committed whole, checked on reading, made once; the digest covers what they say."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster.errors import CorruptPiece, RunDirError
from pipeline import digest
from pipeline.lineage import Stage, commit
from pipeline.stage import StageFolder
from tests.support.context import context

STAGE = Stage("corpus", "corpus", 1, (), ())


def open_folder(run: Path, fingerprint: str | None = "f") -> StageFolder:
    return StageFolder.open(str(run), "corpus", fingerprint)


def test_a_piece_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    folder.write_json("facts.json", {"b": 1, "a": "ä"})
    folder.write_jsonl("rows.jsonl", [{"x": 1}, {"x": 2}])
    folder.write_table("kept/00000.parquet", pa.table({"id": ["a", "b"]}))
    assert folder.read_json("facts.json") == {"a": "ä", "b": 1}
    assert folder.read_jsonl("rows.jsonl") == [{"x": 1}, {"x": 2}]
    assert folder.read_table("kept/00000.parquet").to_pydict() == {"id": ["a", "b"]}
    assert folder.pieces() == ["facts.json", "kept/00000.parquet", "rows.jsonl"]
    assert folder.pieces("kept/") == ["kept/00000.parquet"]
    for piece in folder.pieces():
        folder.check(piece)


def test_pieces_of_another_fingerprint_do_not_stand(tmp_path: Path) -> None:
    open_folder(tmp_path, "old").write_json("a.json", 1)
    assert not open_folder(tmp_path, "new").done("a.json")
    assert open_folder(tmp_path, "old").done("a.json")
    assert open_folder(tmp_path, None).done("a.json")


def test_a_file_without_its_record_is_no_piece(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    folder.storage.put("corpus/half.json", b"{}")
    assert not folder.done("half.json")
    with pytest.raises(FileNotFoundError):
        folder.read_json("half.json")


@pytest.mark.parametrize("read", ["read_bytes", "read_json", "local", "check"])
def test_a_piece_whose_file_is_gone_is_told_with_the_remedy(tmp_path: Path, read: str) -> None:
    folder = open_folder(tmp_path)
    folder.write_json("a.json", {"x": 1})
    (tmp_path / "corpus" / "a.json").unlink()
    with pytest.raises(CorruptPiece, match=r"missing.*Remove the folder"):
        getattr(folder, read)("a.json")


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b"{}", b"\xff"])
def test_a_broken_record_or_manifest_is_told_with_the_remedy(tmp_path: Path, broken: bytes) -> None:
    folder = open_folder(tmp_path)
    folder.write_json("a.json", 1)
    folder.storage.put("corpus/manifest.json", broken)
    with pytest.raises(CorruptPiece, match="Remove the folder"):
        folder.manifest()
    folder.storage.put("corpus/.pieces/a.json.json", broken)
    with pytest.raises(CorruptPiece, match="Remove the folder"):
        folder.done("a.json")


def test_a_stage_is_committed_once(tmp_path: Path) -> None:
    ctx, _ = context(str(tmp_path), "corpus")
    commit(STAGE, ctx, {})
    with pytest.raises(RunDirError, match="another driver has committed corpus"):
        commit(STAGE, ctx, {})


@pytest.mark.parametrize("read", ["read_bytes", "read_json", "local", "check"])
def test_a_changed_byte_is_found_and_the_remedy_told(tmp_path: Path, read: str) -> None:
    folder = open_folder(tmp_path)
    folder.write_json("a.json", {"x": 1})
    (tmp_path / "corpus" / "a.json").write_text('{"x": 2}')
    with pytest.raises(CorruptPiece, match="Remove the folder"):
        getattr(folder, read)("a.json")


def test_the_logical_digest_ignores_chunks_and_compression(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "b", None], "n": [1, None, 3], "s": [[1], [], [2, 3]]})
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    assert digest.of_table(chunked) == digest.of_table(table)
    pq.write_table(chunked, tmp_path / "t.parquet", compression="snappy")
    assert digest.of_table(pq.read_table(tmp_path / "t.parquet")) == digest.of_table(table)


@pytest.mark.parametrize(
    "other",
    [
        {"id": ["a", "b", ""], "n": [1, None, 3]},
        {"id": ["ab", "", None], "n": [1, None, 3]},
        {"id": ["a", "b", None], "n": [1, 0, 3]},
        {"id2": ["a", "b", None], "n": [1, None, 3]},
    ],
)
def test_the_logical_digest_sees_every_difference(other: dict[str, list[object]]) -> None:
    assert digest.of_table(pa.table(other)) != digest.of_table(pa.table({"id": ["a", "b", None], "n": [1, None, 3]}))


def test_the_manifest_covers_results_and_not_the_clock(tmp_path: Path) -> None:
    digests = []
    for i, seconds in enumerate((1.0, 99.0)):
        ctx, _ = context(str(tmp_path / str(i)), "corpus")
        ctx.folder.write_json("a.json", 1)
        ctx.folder.write_json("timing/t.json", seconds)
        ctx.folder.write_json("work/scratch.json", seconds)
        ctx.folder.write_json("checkpoints/1/x.json", seconds)
        ctx.count(documents=3)
        digests.append(commit(STAGE, ctx, {"seconds": seconds}))
        assert not ctx.folder.done("work/scratch.json"), "scratch is taken away"
        assert ctx.folder.done("checkpoints/1/x.json")
    assert digests[0] == digests[1]
    manifest = open_folder(tmp_path / "0", None).manifest()
    assert manifest is not None
    assert [p["path"] for p in manifest["content"]["pieces"]] == ["a.json"]
    assert manifest["content"]["counts"] == {"documents": 3}


def test_a_count_changes_the_digest(tmp_path: Path) -> None:
    found = set()
    for n in (1, 2):
        ctx, _ = context(str(tmp_path / str(n)), "corpus")
        ctx.count(documents=n)
        found.add(commit(STAGE, ctx, {}))
    assert len(found) == 2


def test_only_scratch_can_be_dropped(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    folder.write_json("a.json", 1)
    with pytest.raises(AssertionError):
        folder.drop("a.json")
