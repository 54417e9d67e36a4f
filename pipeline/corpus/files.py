"""The files of a source, local or in an object store: which there are, their bytes, and a hash of them. No format.

Local files are read through the operating system, ``s3://`` and ``gs://`` by pyarrow. An object store's credentials
come from the environment (AWS_ACCESS_KEY_ID ..., GOOGLE_APPLICATION_CREDENTIALS), never from a config.
"""

import fnmatch
import glob
import hashlib
import io
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cluster.errors import SourceError
from pipeline.corpus.readers.config import Source

_CHUNK = 1 << 22  # bytes that one request to a store brings
_WILD = re.compile(r"[*?[]")

OTHER_KIND, NO_FILE = "files of other kinds", "pipes, devices and links to nothing"

Wanted = Callable[[str], bool]
"""Whether a file found in a folder belongs to the source, or a folder is looked into, by its name."""


@dataclass(frozen=True, order=True)
class File:
    """A file: its path or address, its size in bytes, and what changes when it does (times, not content)."""

    path: str
    size: int
    version: str


def remote(path: str) -> bool:
    """Whether a path is the address of an object."""
    return path.startswith(("s3://", "gs://"))


def found(source: Source, top: str, file: Wanted, folder: Wanted, over: Counter[str]) -> list[File]:
    """The files at a path, sorted; local links are followed, and a file with two names counts once.

    A file or a glob that names files is taken at its word; ``file`` decides what of a folder counts, ``folder`` which
    folders are looked into. What is passed over is counted in ``over``, by cause. Raises SourceError for what cannot
    be listed or opened.
    """
    with unreadable_is_told(source, top):
        return sorted((_objects if remote(top) else _local)(source, top, file, folder, over))


def open_file(source: Source, path: str) -> io.BufferedReader:
    """A file to read and seek in. Whatever goes wrong with it later, too, is a SourceError."""
    with unreadable_is_told(source, path):
        if not remote(path):
            return io.BufferedReader(_File(source, path, open(path, "rb", buffering=0)))
        system, name = _store(source, path)
        return io.BufferedReader(_File(source, path, system.open_input_file(name)), _CHUNK)


def digest_of(source: Source, path: str) -> str:
    """sha256 of a file's bytes, as they are stored. All of them are read: a second download, for an object store."""
    with open_file(source, path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def unreadable_is_told(source: Source, path: str) -> Iterator[None]:
    """An OSError becomes the user's to mend."""
    try:
        yield
    except OSError as error:
        field, value = f"corpus.sources.{source.name}.path", error.filename or path
        rule = f"cannot be read: {error.strerror or error}"
        raise SourceError(field, value, rule, "Mend it or its rights, or leave it out") from error


class _File(io.RawIOBase):
    """A file, local or an object, whose OSErrors are SourceErrors: those that a reader meets are its parser's."""

    def __init__(self, source: Source, path: str, file: Any) -> None:
        self._source, self._path, self._file = source, path, file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with unreadable_is_told(self._source, self._path):
            return int(self._file.readinto(buffer))

    def seek(self, at: int, whence: int = 0) -> int:
        with unreadable_is_told(self._source, self._path):
            return int(self._file.seek(at, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        self._file.close()
        super().close()


def _local(source: Source, top: str, file: Wanted, folder: Wanted, over: Counter[str]) -> list[File]:
    names: dict[str, str] = {}  # the file itself -> the name that it is read by: its suffix says how
    for path in _walk(top, file, folder, over):
        if not _regular(path):
            over[NO_FILE] += 1
            continue
        real = os.path.realpath(path)
        path = os.path.abspath(path)
        names[real] = min(path, names.get(real, path), key=lambda name: (name != real, name))
    facts = {}
    for path in names.values():
        with open(path, "rb") as opened:
            facts[path] = os.fstat(opened.fileno())
    return [File(path, fact.st_size, str(fact.st_mtime_ns)) for path, fact in facts.items()]


def _regular(path: str) -> bool:
    """Whether something can be read there to an end: no pipe, no device, no link to nothing."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


def _walk(top: str, file: Wanted, folder: Wanted, over: Counter[str]) -> Iterator[str]:
    for path in [top] if os.path.exists(top) else glob.glob(top, recursive=True):
        if not os.path.isdir(path):
            yield path
            continue
        for inside, folders, names in os.walk(path, onerror=_raise):
            folders[:] = [name for name in folders if folder(name)]
            yield from (os.path.join(inside, name) for name in _taken(names, file, over))


def _taken(names: list[str], file: Wanted, over: Counter[str]) -> list[str]:
    """Those of a folder's names that are wanted; of the others, the hidden ones are nobody's text."""
    wanted = [name for name in names if file(name)]
    over[OTHER_KIND] += sum(not name.startswith(".") for name in names) - len(wanted)
    return wanted


def _raise(error: OSError) -> None:
    raise error


def _objects(source: Source, top: str, file: Wanted, folder: Wanted, over: Counter[str]) -> list[File]:
    """The objects at an address. A glob is matched against all below the folder before its first wild card."""
    from pyarrow import fs

    system, name = _store(source, top)
    wild = _WILD.search(name)
    base = name[: wild.start()].rpartition("/")[0] if wild else name.rstrip("/")
    (info,) = system.get_file_info([base])
    if info.type == fs.FileType.NotFound:
        return []
    infos = [info] if info.type == fs.FileType.File else system.get_file_info(fs.FileSelector(base, recursive=True))
    files = [info for info in infos if info.type == fs.FileType.File]
    if wild:
        pattern = re.compile(_regex(name))
        files = [info for info in files if pattern.fullmatch(info.path)]
    elif files != [info]:
        inside = [(info, info.path[len(base) + 1 :].split("/")) for info in files]
        inside = [(info, parts) for info, parts in inside if all(map(folder, parts[:-1]))]
        files = [info for info, parts in inside if _taken(parts[-1:], file, over)]
    scheme = top.partition("://")[0]
    return [File(f"{scheme}://{info.path}", info.size, f"{info.mtime_ns} {info.size}") for info in files]


def _regex(pattern: str) -> str:
    """A glob as a regular expression over a whole path: ``*`` stays in its folder, ``**/`` is any folders or none.

    As on a local disk, no wild card stands for the dot that a hidden name begins with.
    """
    known = {"**/": r"(?:(?!\.)[^/]+/)*", "**": r"(?:(?!\.)[^/]+/)*(?!\.)[^/]+", "*": r"[^/]*", "?": "[^/]"}
    made = ""
    for part in re.split(r"(\*\*/?|\*|\?|\[[^]/]+\])", pattern):
        if part in ("*", "?") and made.endswith(("/", "/)*")):
            made += r"(?!\.)"
        made += known.get(part) or (fnmatch.translate(part)[4:-3] if part.startswith("[") else re.escape(part))
    return made


def _store(source: Source, path: str) -> tuple[Any, str]:
    """The file system of an address, and the name that it has there."""
    scheme, _, name = path.partition("://")
    return _system(scheme, source.endpoint or os.environ.get("AWS_ENDPOINT_URL", "")), name


@lru_cache
def _system(scheme: str, endpoint: str) -> Any:
    from pyarrow import fs

    if scheme == "gs":
        return fs.GcsFileSystem()
    if not endpoint:
        return fs.S3FileSystem()
    protocol, _, address = endpoint.rpartition("://")
    return fs.S3FileSystem(endpoint_override=address, scheme=protocol or "https")
