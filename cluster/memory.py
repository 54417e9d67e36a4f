"""How much memory a run really takes: the sum of PSS of its processes, and /dev/shm. Linux only; elsewhere zero."""

import os
import threading
from pathlib import Path

SAMPLE_EVERY_S = 2.0


def descendants(pid: int) -> list[int]:
    """The process and all its children's children that live now."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def pss_bytes(pid: int) -> int:
    """Proportional set size: private pages, and each shared page divided by its users."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def shm_bytes() -> int:
    """Bytes in use under /dev/shm, where Ray keeps its object store."""
    try:
        stat = os.statvfs("/dev/shm")
    except OSError:
        return 0
    return (stat.f_blocks - stat.f_bfree) * stat.f_frsize


class MemoryMeter:
    """The peak since the last ``lap``, sampled by a thread. PSS holds the mapped part of /dev/shm already."""

    def __init__(self) -> None:
        self._peak, self._stop = 0, threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._sample, name="memory", daemon=True)
        self._thread.start()

    def lap(self) -> int:
        """Bytes at the peak since the last call."""
        self._take()
        with self._lock:
            peak, self._peak = self._peak, 0
        return peak

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _take(self) -> None:
        now = sum(pss_bytes(p) for p in descendants(os.getpid()))
        with self._lock:
            self._peak = max(self._peak, now)

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_EVERY_S):
            self._take()
