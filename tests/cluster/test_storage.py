"""Storage: whole objects or none, one winner, clear errors."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import RunDirError
from cluster.storage import DiskFull, LocalStorage, open_storage


def test_an_object_is_replaced_whole(tmp_path: Path) -> None:
    store = LocalStorage(tmp_path)
    store.put("a/b.txt", b"one")
    store.put("a/b.txt", b"two")
    assert store.get("a/b.txt") == b"two"
    assert list(store.list()) == ["a/b.txt"]


def test_only_the_first_writer_of_an_absent_key_wins(tmp_path: Path) -> None:
    store = LocalStorage(tmp_path)
    assert store.put_if_absent("lease", b"first")
    assert not store.put_if_absent("lease", b"second")
    assert store.get("lease") == b"first"
    assert [p.name for p in tmp_path.iterdir()] == ["lease"]


def test_a_key_never_leaves_the_folder(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        LocalStorage(tmp_path).put("../x", b"")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_keeps_what_stood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    store = LocalStorage(tmp_path)
    store.put("piece", b"old")

    def full(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match="no room left"):
        store.put("piece", b"new")
    assert store.get("piece") == b"old"
    assert list(store.list()) == ["piece"], "no partial file is left"


def test_listing_shows_no_partial_objects(tmp_path: Path) -> None:
    store = LocalStorage(tmp_path)
    store.put("x/1", b"")
    (tmp_path / "x" / ".partial-9").write_bytes(b"half")
    assert list(store.list("x")) == ["x/1"]


def test_a_file_in_place_of_the_folder_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(RunDirError, match="Give a folder that you can write"):
        LocalStorage(tmp_path / "run").put("lease/1", b"")


@pytest.mark.parametrize("url", ["s3://bucket/run", "gs://bucket/run"])
def test_an_object_store_is_refused_with_the_remedy(url: str) -> None:
    with pytest.raises(RunDirError, match="Give a local or a shared folder"):
        open_storage(url)


def test_a_file_url_is_a_path(tmp_path: Path) -> None:
    assert str(open_storage(f"file://{tmp_path}")) == str(tmp_path)


def test_other_errors_are_not_called_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="input/output"):
        LocalStorage(tmp_path).put("a", b"")
