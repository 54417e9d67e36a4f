"""Memory is measured over a process and its children."""

import os
import subprocess
import sys

from cluster.memory import MemoryMeter, descendants, pss_bytes


def test_children_count() -> None:
    code = "x = bytearray(60_000_000); print('up', flush=True); import time; time.sleep(30)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    assert child.pid in descendants(os.getpid())
    assert pss_bytes(child.pid) > 50_000_000
    meter = MemoryMeter()
    assert meter.lap() > 50_000_000 + pss_bytes(os.getpid()) // 2
    meter.stop()
    child.kill()
    child.wait()


def test_a_process_that_is_gone_takes_no_memory() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert pss_bytes(child.pid) == 0
