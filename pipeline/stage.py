"""What a stage works with: its folder of pieces, and its context. Knows no stage by name, and no Ray.

A piece is one file, committed whole: its bytes first, then a record with both checksums and the fingerprint of the
stage. A piece whose record stands under the same fingerprint is not made again, so a killed run goes on inside a stage.
"""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.errors import CorruptPiece, RunDirError
from cluster.storage import LocalStorage, open_storage
from cluster.telemetry import Bar
from pipeline import digest

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.config import RunConfig

OUTSIDE_DIGEST = ("work/", "checkpoints/", "timing/")  # scratch, resume state, and what depends on the clock
_RECORDS = ".pieces"


def folder_of(stage: str) -> str:
    """``evaluate@pretrain`` lives in ``evaluate/pretrain``."""
    return stage.replace("@", "/")


def open_run(run: str) -> LocalStorage:
    """The storage of a run that exists. Raises RunDirError where the folder holds none."""
    storage = open_storage(run)
    if not storage.exists("run.toml") and next(storage.list("events"), None) is None:
        raise RunDirError("RUN", run, "no run stands there", "Give the folder that `firstlight run` printed")
    return storage


@dataclass(frozen=True)
class StageFolder:
    """A stage's pieces in the run directory. Plain data, so it travels to any worker.

    Without a fingerprint it reads whatever was committed; with one, pieces of another fingerprint do not exist for it.
    """

    run: str
    stage: str
    fingerprint: str | None = None

    @classmethod
    def open(cls, run: str, stage: str, fingerprint: str | None = None) -> "StageFolder":
        return cls(run, stage, fingerprint)

    @property
    def storage(self) -> LocalStorage:
        return open_storage(self.run)

    def key(self, piece: str) -> str:
        return f"{folder_of(self.stage)}/{piece}"

    # Which pieces stand

    def record(self, piece: str) -> dict[str, Any] | None:
        """The record of a committed piece: rows, bytes, sha256 of its logical rows and of its bytes, fingerprint."""
        found = self._json(f"{_RECORDS}/{piece}.json")
        return found if found and self.fingerprint in (None, found["fingerprint"]) else None

    def done(self, piece: str) -> bool:
        return self.record(piece) is not None

    def pieces(self, prefix: str = "") -> list[str]:
        """Names of the committed pieces that begin with a prefix, sorted."""
        top = self.key(_RECORDS)
        names = [k[len(top) + 1 : -len(".json")] for k in self.storage.list(top)]
        return sorted(n for n in names if n.startswith(prefix) and self.done(n))

    def manifest(self) -> dict[str, Any] | None:
        """The manifest, or None where the stage has not committed."""
        return self._json("manifest.json")

    def _json(self, name: str) -> dict[str, Any] | None:
        try:
            data = self.storage.get(self.key(name))
        except FileNotFoundError:
            return None
        try:
            found = json.loads(data)
        except ValueError:
            found = None
        if not isinstance(found, dict) or "fingerprint" not in found:
            raise CorruptPiece(self.key(name), "a JSON object", "something else", self.remedy)
        return found

    # Write

    def write_bytes(self, piece: str, data: bytes, rows: int = 0, logical: str | None = None) -> None:
        """Commit a piece. ``logical`` is the sha256 of what it says, where its bytes are not that themselves."""
        assert self.fingerprint, "a folder without a fingerprint is for reading"
        found = digest.of_bytes(data)
        record = {"rows": rows, "bytes": len(data), "sha256": logical or found, "bytes_sha256": found}
        self.storage.put(self.key(piece), data)
        line = digest.canonical({**record, "fingerprint": self.fingerprint})
        self.storage.put(self.key(f"{_RECORDS}/{piece}.json"), line)

    def write_json(self, piece: str, value: object) -> None:
        text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
        self.write_bytes(piece, text.encode(), rows=1, logical=digest.of_json(value))

    def write_jsonl(self, piece: str, rows: list[dict[str, Any]]) -> None:
        self.write_bytes(piece, b"".join(digest.canonical(r) + b"\n" for r in rows), rows=len(rows))

    def write_table(self, piece: str, table: "pa.Table", group: int | None = None) -> None:
        """Commit a table as parquet, ``group`` rows in a row group; the caller has sorted its rows."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", row_group_size=group)
        self.write_bytes(piece, sink.getvalue().to_pybytes(), rows=table.num_rows, logical=digest.of_table(table))

    def drop(self, piece: str) -> None:
        """Take a scratch piece or an old checkpoint away: its record first, so that it never half exists."""
        assert piece.startswith(OUTSIDE_DIGEST), f"{piece} is part of the result"
        self.storage.delete(self.key(f"{_RECORDS}/{piece}.json"))
        self.storage.delete(self.key(piece))

    # Read

    def read_bytes(self, piece: str) -> bytes:
        """A committed piece's bytes, checked. Raises FileNotFoundError for no piece, CorruptPiece for a broken one."""
        record = self.record(piece)
        if record is None:
            raise FileNotFoundError(f"{self.key(piece)} was not committed")
        try:
            data = self.storage.get(self.key(piece))
        except FileNotFoundError:
            raise CorruptPiece(self.key(piece), record["bytes_sha256"], "missing", self.remedy) from None
        found = digest.of_bytes(data)
        if found != record["bytes_sha256"]:
            raise CorruptPiece(self.key(piece), record["bytes_sha256"], found, self.remedy)
        return data

    def read_range(self, piece: str, start: int, length: int) -> bytes:
        """Bytes of a committed piece, unchecked: for pieces that hold checksums of their own parts."""
        return self.storage.get_range(self.key(piece), start, length)

    @property
    def remedy(self) -> str:
        return f"Remove the folder {self.storage.path(folder_of(self.stage))} and run again: the stage is made anew"

    def read_json(self, piece: str) -> Any:
        return json.loads(self.read_bytes(piece))

    def read_jsonl(self, piece: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.read_bytes(piece).splitlines()]

    def read_table(self, piece: str) -> "pa.Table":
        import pyarrow as pa
        import pyarrow.parquet as pq

        return pq.read_table(pa.BufferReader(self.read_bytes(piece)))

    def local(self, piece: str) -> Path:
        """A local file of a committed piece, checked once here, for memory maps."""
        self.read_bytes(piece)
        return self.storage.path(self.key(piece))

    def check(self, piece: str) -> None:
        """Recompute the checksum of the bytes and of what they say. Raises CorruptPiece."""
        record = self.record(piece)
        assert record is not None
        data = self.read_bytes(piece)
        said = {digest.of_bytes(data)}
        if piece.endswith(".parquet"):
            said.add(digest.of_table(self.read_table(piece)))
        elif piece.endswith(".json"):
            said.add(digest.of_json(json.loads(data)))
        if record["sha256"] not in said:
            raise CorruptPiece(self.key(piece), record["sha256"], min(said), self.remedy)


@dataclass
class StageContext:
    """What a stage is given: config, folders, and ways to speak. Counts must be functions of config and inputs."""

    name: str
    config: "RunConfig"
    folder: StageFolder
    inputs: dict[str, StageFolder]
    event: Callable[..., None]
    progress: Callable[[str, float, str], AbstractContextManager[Bar]]
    counts: dict[str, Any] = field(default_factory=dict)

    @property
    def run(self) -> str:
        """The run directory."""
        return self.folder.run

    def count(self, **facts: Any) -> None:
        """Facts for the manifest: part of the digest, so no time, host or worker count."""
        self.counts.update(facts)
