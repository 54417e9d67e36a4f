"""Whether a run is what its manifests say: every piece's checksums, each digest, and the lineage between stages.

It reads all pieces and makes none. It knows no stage by name.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cluster.errors import CorruptPiece
from pipeline.config import RunConfig
from pipeline.lineage import Stage, content_digest
from pipeline.stage import StageFolder, open_run

MOST_PROBLEMS = 3  # told for each stage; the rest are counted


@dataclass(frozen=True)
class Verdict:
    """What was found of one stage. An absent stage is no fault: the run may be half-way."""

    stage: str
    state: Literal["sound", "absent", "broken"]
    digest: str = ""
    problems: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """`STAGE DIGEST`, or `STAGE` and what is wrong."""
        if self.state == "sound":
            return f"{self.stage} {self.digest}"
        if self.state == "absent":
            return f"{self.stage} absent"
        more = len(self.problems) - MOST_PROBLEMS
        told = "; ".join(self.problems[:MOST_PROBLEMS])
        return f"{self.stage} BROKEN: {told}{f'; and {more} more' if more > 0 else ''}"


def verify(run: str, stages: Sequence[Stage], config: RunConfig) -> Iterator[Verdict]:
    """One verdict a stage, in the order given, as each is found. Raises RunDirError where there is no run."""
    open_run(run)
    digests: dict[str, str] = {}
    for stage in stages:
        folder = StageFolder.open(run, stage.name)
        manifest = folder.manifest()
        if manifest is None:
            yield Verdict(stage.name, "absent")
            continue
        digests[stage.name] = str(manifest["digest"])
        problems = [*_pieces(folder, manifest), *_digest(manifest), *_lineage(stage, manifest, config, digests)]
        yield Verdict(stage.name, "broken" if problems else "sound", digests[stage.name], tuple(problems))


def _pieces(folder: StageFolder, manifest: dict[str, Any]) -> Iterator[str]:
    for listed in manifest["content"]["pieces"]:
        piece = listed["path"]
        record = folder.record(piece)
        if record is None:
            yield f"{piece}: its record is gone"
            continue
        if (record["sha256"], record["rows"]) != (listed["sha256"], listed["rows"]):
            yield f"{piece}: its record is not the one that the manifest lists"
            continue
        try:
            folder.check(piece)
        except (CorruptPiece, ValueError) as error:
            yield str(error)


def _digest(manifest: dict[str, Any]) -> Iterator[str]:
    found = content_digest(manifest["content"])
    if found != manifest["digest"]:
        yield f"manifest.json: digest is {manifest['digest'][:12]}, its content gives {found[:12]}"


def _lineage(stage: Stage, manifest: dict[str, Any], config: RunConfig, digests: dict[str, str]) -> Iterator[str]:
    missing = [name for name in stage.inputs if name not in digests]
    if missing:
        yield f"its input {', '.join(missing)} is absent"
        return
    expected = stage.fingerprint(config, digests, manifest.get("outside", ""))
    if expected != manifest["fingerprint"]:
        found = str(manifest["fingerprint"])
        yield (
            f"its fingerprint is {found[:12]}, run.toml and the inputs give {expected[:12]}: it was made under another"
            " config, from other inputs, or with other versions of its libraries"
        )
