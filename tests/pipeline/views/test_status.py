import json
import os
import socket
from pathlib import Path

import pytest

from cluster.errors import RunDirError
from cluster.lease import Lease
from cluster.storage import LocalStorage
from pipeline.views.status import print_status, status
from tests.support.fake_run import STAGES, failed, half, whole


def states(run: str) -> list[str]:
    return [one.state for one in status(run, STAGES)]


def test_a_whole_run(tmp_path: Path) -> None:
    found = status(whole(tmp_path / "run").root, STAGES)
    assert [one.stage for one in found] == ["corpus", "tokens", "pretrain", "evaluate@pretrain"]
    assert {one.state for one in found} == {"done"}
    assert found[0].seconds == 41.5
    assert len(found[0].digest) == 64


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    found = status(failed(tmp_path / "run").root, STAGES)
    assert [one.state for one in found] == ["done", "done", "failed", "absent"]
    assert found[2].why.startswith("no room left on the disk")
    assert found[2].progress == "1 piece"
    assert found[2].seconds == pytest.approx(12.0)


def test_a_stage_whose_driver_is_gone_is_stopped(tmp_path: Path) -> None:
    run = half(tmp_path / "run")
    run.event("stage_start", stage="pretrain")
    run.event("checkpoint", after=30.0, stage="pretrain")
    found = status(run.root, STAGES)
    assert found[2].state == "stopped"
    assert found[2].seconds == pytest.approx(30.0)


def test_a_stage_whose_driver_lives_is_running(tmp_path: Path) -> None:
    run = half(tmp_path / "run")
    run.event("stage_start", stage="pretrain")
    lease = Lease(LocalStorage(run.root))
    assert states(run.root)[2] == "running"
    lease.release()
    assert states(run.root)[2] == "stopped"


def test_a_killed_driver_does_not_run(tmp_path: Path) -> None:
    run = half(tmp_path / "run")
    run.event("stage_start", stage="pretrain")
    gone = {"pid": os.getpid(), "host": socket.gethostname(), "start": "another process"}
    LocalStorage(run.root).put("lease/000001.json", json.dumps(gone).encode())
    assert states(run.root)[2] == "stopped"


def test_ctrl_c_is_no_failure(tmp_path: Path) -> None:
    run = failed(tmp_path / "run")
    run.event("interrupted")
    assert states(run.root) == ["done", "done", "stopped", "absent"]


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="no run stands there"):
        status(str(tmp_path), STAGES)


def test_printed_in_eighty_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_status(status(failed(tmp_path / "run").root, STAGES))
    shown = capsys.readouterr().out
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "no room left on the disk" in shown
