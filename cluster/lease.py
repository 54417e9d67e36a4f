"""One driver a run: a lease with an epoch. Knows no stage.

Each epoch is a key that exactly one driver can create. A second driver is refused while the holder lives, and a driver
that lost its lease may not commit: it is fenced by the higher epoch.
"""

import contextlib
import json
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

from cluster.errors import FirstlightError, RunDirError
from cluster.storage import LocalStorage

BEAT_EVERY_S = 10.0
DEAD_AFTER_S = 60.0


def _process_start(pid: int) -> str | None:
    """When a process of this host began, in clock ticks since boot; None where it does not live."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


class Lease:
    """The right to write a run. Raises RunDirError where a living driver holds it."""

    def __init__(self, storage: LocalStorage) -> None:
        self._storage = storage
        self.epoch = self._newest() + 1
        holder = self._holder(self.epoch - 1)
        if holder and alive(storage, self.epoch - 1, holder):
            raise self._held(holder)
        me = {"pid": os.getpid(), "host": socket.gethostname(), "start": _process_start(os.getpid())}
        if not storage.put_if_absent(_key(self.epoch), json.dumps(me).encode()):
            raise self._held(self._holder(self.epoch) or me)
        self._beat()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise RunDirError if another driver took the run over: this one may not commit any more."""
        if self._newest() > self.epoch:
            raise RunDirError("--out", str(self._storage), "another driver took this run over", "Let that one finish")

    def release(self) -> None:
        """Let the next driver in without waiting."""
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(OSError, FirstlightError):  # must not hide why the run ends; our death frees it too
            self._storage.put(f"lease/{self.epoch:06d}.released", b"")

    def _newest(self) -> int:
        epochs = [int(Path(k).stem) for k in self._storage.list("lease") if k.endswith(".json")]
        return max(epochs, default=0)

    def _holder(self, epoch: int) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(self._storage.get(_key(epoch)))
        except FileNotFoundError:
            return None
        return found

    def _held(self, holder: dict[str, Any]) -> RunDirError:
        who = f"process {holder['pid']} on {holder['host']}"
        return RunDirError("--out", str(self._storage), f"{who} is running it", "Wait for it, or give another --out")

    def _beat(self) -> None:
        self._storage.put(f"lease/{self.epoch:06d}.beat", str(time.time()).encode())

    def _keep(self) -> None:
        while not self._stop.wait(BEAT_EVERY_S):
            with contextlib.suppress(OSError, FirstlightError):  # the next beat may find room on the disk
                self._beat()


def _key(epoch: int) -> str:
    return f"lease/{epoch:06d}.json"


def alive(storage: LocalStorage, epoch: int, holder: dict[str, Any]) -> bool:
    """On this host the process decides; on another one, its heartbeat."""
    if storage.exists(f"lease/{epoch:06d}.released"):
        return False
    if holder["host"] == socket.gethostname():
        return bool(_process_start(holder["pid"]) == holder["start"])
    try:
        return time.time() - float(storage.get(f"lease/{epoch:06d}.beat")) < DEAD_AFTER_S
    except FileNotFoundError:
        return True
