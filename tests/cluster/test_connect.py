"""The embedded cluster from outside: quiet output, nothing left behind, and no life after the driver's death."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.connect import check_workers_import_checkout
from cluster.home import ROOT, environment, state_folder, token_file
from cluster.reaper import members

DRIVER = """
import sys, time
from cluster.config import ClusterConfig
from cluster.connect import connect
with connect(ClusterConfig(cpus=1), sys.argv[1]) as connection:
    import ray, os
    print("swallowed", flush=True)
    os.system("echo swallowed by fd")
    print("ready", os.environ["RAY_TMPDIR"], file=connection.out, flush=True)
    if sys.argv[2] == "fail":
        raise ValueError("on purpose")
    if sys.argv[2] == "wait":
        time.sleep(60)
print("ended")
"""


def start(logs: Path, mode: str, home: Path) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "FIRSTLIGHT_HOME": str(home)}
    command = [sys.executable, "-c", DRIVER, str(logs), mode]
    return subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.ray
def test_embedded_cluster_is_quiet_and_leaves_nothing(tmp_path: Path) -> None:
    driver = start(tmp_path / "logs", "end", tmp_path / "home")
    out, err = driver.communicate(timeout=60)
    ready, ended = out.splitlines()
    temp = ready.split()[1]
    assert (driver.returncode, ended, err) == (0, "ended", "")
    assert (tmp_path / "logs" / "driver.log").read_text().count("swallowed") == 2
    assert not Path(temp).exists()
    assert not members(temp)
    assert [p.name for p in (tmp_path / "logs").iterdir()] == ["driver.log"]


@pytest.mark.ray
def test_failed_driver_keeps_rays_logs(tmp_path: Path) -> None:
    driver = start(tmp_path / "logs", "fail", tmp_path / "home")
    _, err = driver.communicate(timeout=60)
    assert driver.returncode == 1
    assert "ValueError: on purpose" in err
    assert list((tmp_path / "logs" / "ray").glob("raylet*"))


@pytest.mark.ray
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_a_stopped_driver(tmp_path: Path, how: signal.Signals) -> None:
    driver = start(tmp_path / "logs", "wait", tmp_path / "home")
    assert driver.stdout is not None
    temp = driver.stdout.readline().split()[1]
    os.kill(driver.pid, how)
    driver.communicate(timeout=30)
    began = time.monotonic()
    while members(temp) and time.monotonic() - began < 20:
        time.sleep(0.1)
    assert not members(temp)
    print(f"{how.name}: {time.monotonic() - began:.1f} s")
    while Path(temp).exists() and time.monotonic() - began < 20:
        time.sleep(0.1)
    assert not Path(temp).exists()


@pytest.mark.ray
def test_workers_import_the_checkout(ray_session: Path) -> None:
    check_workers_import_checkout()


def test_token_is_private_and_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTLIGHT_HOME", str(tmp_path / "home"))
    path = token_file()
    assert path.parent == state_folder() == tmp_path / "home"
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_text()) == 64
    assert token_file().read_text() == path.read_text()


def test_environment_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FL_ONE", "1")
    with environment({"FL_ONE": None, "FL_TWO": "2"}):
        assert ("FL_ONE" in os.environ, os.environ["FL_TWO"]) == (False, "2")
    assert (os.environ["FL_ONE"], "FL_TWO" in os.environ) == ("1", False)
