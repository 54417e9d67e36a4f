"""What is remembered of submitted jobs and of local heads: small JSON files in the user's state folder. No ray."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from cluster.errors import UserError
from cluster.home import ROOT, state_folder


@dataclass(frozen=True)
class JobRecord:
    """One submitted job: where it runs, and, once it has ended, how (``status`` as Ray names it)."""

    job: str
    address: str
    local: bool
    token_file: str
    entrypoint: str
    status: str = ""
    exit_code: int | None = None

    @classmethod
    def read(cls, job: str) -> Self:
        """The record of a job that this user submitted. Raises UserError where there is none."""
        folder = state_folder() / "jobs"
        path = folder / f"{job}.json"
        if "/" in job or not path.is_file():
            known = sorted(folder.glob("*.json"), key=lambda p: p.stat().st_mtime) if folder.is_dir() else []
            newest = ", ".join(p.stem for p in known[-3:]) or "none yet"
            raise UserError("JOB", job, "no job of this name was submitted from here", f"The newest are: {newest}.")
        return cls(**json.loads(path.read_text()))

    def write(self) -> None:
        """Keep the record, whole or not at all."""
        _write(state_folder() / "jobs" / f"{self.job}.json", json.dumps(asdict(self), indent=1))

    def ended(self, status: str, exit_code: int | None, log: str) -> Self:
        """Keep how the job ended, and its log, so that both can be read when its cluster is gone."""
        _write(state_folder() / "jobs" / f"{self.job}.log", log)
        record = replace(self, status=status, exit_code=exit_code)
        record.write()
        return record

    def kept_log(self) -> str:
        """The log of a job that has ended."""
        path = state_folder() / "jobs" / f"{self.job}.log"
        return path.read_text() if path.is_file() else ""


@dataclass(frozen=True)
class HeadRecord:
    """The local head that stands for this checkout: the address of its Jobs API, its token and its keeper's pid."""

    address: str
    token_file: str
    pid: int

    @staticmethod
    def folder() -> Path:
        """One head a checkout, as a head's workers import the packages from there."""
        folder = state_folder() / "heads" / hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @classmethod
    def read(cls) -> Self | None:
        """The record, or None where no head was started, or it was taken down."""
        try:
            return cls(**json.loads((cls.folder() / "head.json").read_text()))
        except FileNotFoundError:
            return None

    def write(self) -> None:
        """Publish the head."""
        _write(self.folder() / "head.json", json.dumps(asdict(self), indent=1))

    def remove(self) -> None:
        """Withdraw the head, where it is still the published one."""
        if HeadRecord.read() == self:
            (self.folder() / "head.json").unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)
