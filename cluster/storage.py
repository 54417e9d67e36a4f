"""Where a run's files live: keys to bytes, as an object store has them. Knows no stage.

No rename, append or memory map is assumed. A commit is ``put_if_absent``, which exactly one writer wins. On a local
disk a write goes to a temporary name, is flushed to the disk, and takes its place in one step, so a reader sees a
whole object or none.
"""

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

from cluster.errors import FirstlightError, RunDirError

_PARTIAL = ".partial-"


class DiskFull(FirstlightError):
    """The disk has no room left; what was committed before stands."""


class LocalStorage:
    """A folder of a local or shared disk as a store of keys (relative paths with ``/``)."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()

    def __str__(self) -> str:
        return str(self.root)

    def path(self, key: str) -> Path:
        """The local file of a key, for memory maps. On an object store this will be a checked local copy."""
        parts = key.split("/")
        assert key and ".." not in parts and not key.startswith("/"), f"not a key: {key!r}"
        return self.root.joinpath(*parts)

    def get(self, key: str) -> bytes:
        """The object's bytes. Raises FileNotFoundError."""
        return self.path(key).read_bytes()

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """At most ``length`` bytes of the object from ``start``. Raises FileNotFoundError."""
        with self.path(key).open("rb") as file:
            file.seek(start)
            return file.read(length)

    def exists(self, key: str) -> bool:
        return self.path(key).is_file()

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write or replace an object, whole or not at all. Raises DiskFull."""
        with self._partial(key, data) as partial:
            os.replace(partial, self.path(key))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write an object unless it stands; False where another writer was first."""
        with self._partial(key, data) as partial:
            with contextlib.suppress(FileExistsError):
                os.link(partial, self.path(key))
                return True
            return False

    def list(self, prefix: str = "") -> Iterator[str]:
        """Keys that begin with a prefix that is a folder (or "" for all), sorted, whole objects only."""
        top = self.root / prefix if prefix else self.root
        found = []
        for folder, _, names in os.walk(top):
            base = Path(folder).relative_to(self.root)
            found += [str(base / n) for n in names if not n.startswith(_PARTIAL)]
        yield from sorted(found)

    def delete(self, key: str) -> None:
        self.path(key).unlink(missing_ok=True)

    def delete_folder(self, prefix: str) -> None:
        shutil.rmtree(self.path(prefix.rstrip("/")), ignore_errors=True)

    @contextlib.contextmanager
    def _partial(self, key: str, data: bytes | memoryview) -> Iterator[Path]:
        path = self.path(key)
        partial = path.with_name(f"{_PARTIAL}{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield partial
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EACCES, errno.EPERM, errno.EROFS):
                rule = f"{error.filename or path} cannot be written ({error.strerror})"
                raise RunDirError("--out", str(self.root), rule, "Give a folder that you can write") from error
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise DiskFull(
                f"no room left on the disk of {self.root} for {key} ({len(data):,} bytes). What was committed stands: "
                "free some space and give the same command again"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)


def open_storage(url: str) -> LocalStorage:
    """The store of a run directory. Raises RunDirError for a scheme that has no store yet."""
    scheme = urlparse(url).scheme
    if scheme in ("", "file"):
        return LocalStorage(urlparse(url).path if scheme else url)
    raise RunDirError("--out", url, f"no storage for {scheme}:// yet", "Give a local or a shared folder")
