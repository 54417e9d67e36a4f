"""A tiny process that outlives the owner of a local cluster: it ends the cluster's processes, and removes its folder.

Ray's services follow a killed driver within a second, but its agents take up to a minute. A process of the cluster is
known by ``RAY_TMPDIR`` in its environment, which names a private folder: no name or pid is guessed. Linux only.
Runs as a script, without site-packages, so that it costs little.
"""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

ROUNDS = 20


def members(temp: str) -> list[int]:
    """The processes whose environment names this folder as Ray's, without this one."""
    mark = f"\0RAY_TMPDIR={temp}\0".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if mark in b"\0" + (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue  # it ended, or belongs to another user
    return found


def reap(temp: str) -> None:
    """Kill what is left of the cluster, and remove its folder."""
    for _ in range(ROUNDS):
        left = members(temp)
        if not left:
            break
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.1)
    shutil.rmtree(temp, ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdin.buffer.read()  # the other end is the owner's: it closes when the owner ends, however it ends
    reap(sys.argv[1])
