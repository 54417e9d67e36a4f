"""One driver a run."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster import lease
from cluster.errors import RunDirError
from cluster.lease import Lease
from cluster.storage import LocalStorage

ROOT = Path(__file__).resolve().parents[2]


def test_a_second_driver_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    first = Lease(LocalStorage(tmp_path))
    with pytest.raises(RunDirError, match=str(os.getpid())):
        Lease(LocalStorage(tmp_path))
    first.release()
    second = Lease(LocalStorage(tmp_path))
    assert second.epoch == first.epoch + 1
    second.release()


def test_a_driver_of_an_older_epoch_is_fenced(tmp_path: Path) -> None:
    first = Lease(LocalStorage(tmp_path))
    first.check()
    first.release()
    second = Lease(LocalStorage(tmp_path))
    with pytest.raises(RunDirError, match="took this run over"):
        first.check()
    second.check()
    second.release()


def test_a_killed_driver_leaves_the_run_free(tmp_path: Path) -> None:
    code = "import sys, time; from cluster.lease import Lease; from cluster.storage import LocalStorage; "
    code += "Lease(LocalStorage(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(RunDirError):
        Lease(LocalStorage(tmp_path))
    holder.kill()
    holder.wait()
    Lease(LocalStorage(tmp_path)).release()


@pytest.mark.parametrize(("age", "refused"), [(1.0, True), (lease.DEAD_AFTER_S + 1, False)])
def test_a_driver_on_another_host_lives_by_its_heartbeat(tmp_path: Path, age: float, refused: bool) -> None:
    store = LocalStorage(tmp_path)
    store.put("lease/000001.json", json.dumps({"pid": 1, "host": "elsewhere", "start": "1"}).encode())
    store.put("lease/000001.beat", str(time.time() - age).encode())
    if refused:
        with pytest.raises(RunDirError, match="elsewhere"):
            Lease(store)
    else:
        Lease(store).release()


def test_a_reused_process_id_does_not_hold_a_run(tmp_path: Path) -> None:
    import socket

    store = LocalStorage(tmp_path)
    mine = {"pid": os.getpid(), "host": socket.gethostname(), "start": "another start"}
    store.put("lease/000001.json", json.dumps(mine).encode())
    Lease(store).release()
