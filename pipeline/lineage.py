"""A stage as data, its fingerprint, and the manifest that commits it. Knows no stage by name."""

import importlib
import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from importlib.metadata import version
from typing import Any

from cluster.errors import RunDirError
from cluster.fields import result_view
from pipeline import digest
from pipeline.config import RunConfig
from pipeline.sections import Section
from pipeline.stage import OUTSIDE_DIGEST, StageContext, StageFolder

SCHEMA = 1


@dataclass(frozen=True)
class Stage:
    """One step of the journey: what it reads, and where its work and its view are found.

    ``inputs`` are names of earlier stages, ``reads`` sections or fields of the config, ``libraries`` the distributions
    whose version may change what it writes, ``outside`` a function that digests what lies outside of the run.
    ``version`` goes up when the stage's result changes for the same config.
    """

    name: str
    package: str
    version: int
    inputs: tuple[str, ...]
    reads: tuple[str, ...]
    libraries: tuple[str, ...] = ()
    outside: str = ""

    def read_outside(self, config: RunConfig) -> str:
        """A digest of what the stage reads from outside of the run; "" where it reads nothing there."""
        if not self.outside:
            return ""
        module, _, name = self.outside.partition(":")
        found: str = getattr(importlib.import_module(module), name)(config)
        return found

    def work(self) -> Callable[[StageContext], None]:
        """The stage's ``job.run``, imported when it is needed."""
        found: Callable[[StageContext], None] = importlib.import_module(f"pipeline.{self.package}.job").run
        return found

    def view(self) -> Callable[[StageFolder, dict[str, StageFolder]], Section | None]:
        """The stage's ``view.section``."""
        found: Callable[[StageFolder, dict[str, StageFolder]], Section | None]
        found = importlib.import_module(f"pipeline.{self.package}.view").section
        return found

    def fingerprint(self, config: RunConfig, inputs: dict[str, str], outside: str = "") -> str:
        """sha256 of all that decides the stage's result; ``inputs`` maps stage names to manifest digests."""
        return digest.of_json(
            {
                "stage": self.name,
                "version": self.version,
                "config": {path: result_view(reduce(getattr, path.split("."), config)) for path in self.reads},
                "inputs": {name: inputs[name] for name in self.inputs},
                "outside": outside,
                "python": ".".join(platform.python_version_tuple()[:2]),
                "libraries": {name: version(name) for name in self.libraries},
            }
        )


def content_digest(content: dict[str, Any]) -> str:
    """The stage's digest: its pieces' logical rows and its counts, nothing of time, host or path."""
    return digest.of_json(content)


def commit(stage: Stage, context: StageContext, observed: dict[str, Any], outside: str = "") -> str:
    """Write the manifest, which no other driver may have written, then take scratch away; the digest.

    Raises RunDirError where another driver was first.
    """
    folder = context.folder
    pieces, total = [], 0
    for name in folder.pieces():
        record = folder.record(name)
        assert record is not None
        if name.startswith(OUTSIDE_DIGEST):
            continue
        total += record["bytes"]
        pieces.append({"path": name, "rows": record["rows"], "sha256": record["sha256"]})
    content = {"pieces": pieces, "counts": context.counts}
    found = content_digest(content)
    manifest = {
        "schema": SCHEMA,
        "stage": stage.name,
        "version": stage.version,
        "fingerprint": folder.fingerprint,
        "outside": outside,
        "digest": found,
        "content": content,
        "observed": {**observed, "bytes": total},
    }
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if not folder.storage.put_if_absent(folder.key("manifest.json"), text.encode()):
        raise RunDirError("--out", folder.run, f"another driver has committed {stage.name}", "Let that one finish")
    clean(folder)
    return found


def clean(folder: StageFolder) -> None:
    """Take the scratch of a committed stage away."""
    folder.storage.delete_folder(folder.key(".pieces/work"))
    folder.storage.delete_folder(folder.key("work"))
