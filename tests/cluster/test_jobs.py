"""Jobs: what the command line refuses, records, and one real local head with its jobs from start to end."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cluster import jobs
from cluster.clouds import local
from cluster.config import ClusterSpec
from cluster.errors import ConfigError, UserError
from cluster.home import ROOT
from cluster.jobs import exit_code, read_spec
from cluster.reaper import members
from cluster.records import HeadRecord, JobRecord
from pipeline.cli_jobs import run_arguments

REMOTE = ClusterSpec(address="http://head:8265")
RECORD = JobRecord("tiny-1", "http://127.0.0.1:1", True, "", "python -m pipeline run tiny")

SUBMIT = """
import sys
from cluster import jobs
from pipeline import cli_jobs
record = jobs.submit(jobs.read_spec("local"), "try", ["-c", sys.argv[1]], cli_jobs._say)
print(record.job, flush=True)
cli_jobs._follow(record)
"""


def test_relative_out_is_refused_with_the_remedy() -> None:
    with pytest.raises(UserError) as caught:
        run_arguments(REMOTE, "tiny", "runs/x", [])
    assert (caught.value.field, caught.value.value, caught.value.exit_code) == ("--out", "runs/x", 2)
    with pytest.raises(UserError, match="Give /"):
        run_arguments(ClusterSpec(), "tiny", "runs/x", [])
    with pytest.raises(UserError, match="--out = ''"):
        run_arguments(REMOTE, "tiny", "", [])


def test_arguments_of_the_driver() -> None:
    found = run_arguments(REMOTE, "tiny", "s3://b/x", ["a.b=1", "c=2"])
    assert found == ["-m", "pipeline", "run", "tiny", "--out", "s3://b/x", "--set", "a.b=1", "--set", "c=2"]
    assert run_arguments(ClusterSpec(), "tiny", "", [])[-1] == str(Path("runs/tiny").absolute())


def test_recipe_file_must_be_where_the_driver_finds_it(tmp_path: Path) -> None:
    recipe = tmp_path / "own.toml"
    with pytest.raises(UserError, match="no such file"):
        run_arguments(ClusterSpec(), str(recipe), "/out", [])
    recipe.touch()
    assert str(recipe.resolve()) in run_arguments(ClusterSpec(), str(recipe), "/out", [])
    with pytest.raises(UserError, match="only the checkout is shipped"):
        run_arguments(REMOTE, str(recipe), "/out", [])


def test_cluster_option(tmp_path: Path) -> None:
    assert read_spec("local").address == "local"
    assert read_spec("head:8265").address == "http://head:8265"
    with pytest.raises(UserError, match="neither an address nor a file"):
        read_spec("locl")
    spec = tmp_path / "spec.toml"
    with pytest.raises(ConfigError, match="cannot be read"):
        read_spec(str(spec))
    spec.write_text("cpu = 3\n")
    with pytest.raises(ConfigError, match=r"cpu = 3: Extra inputs.*Fields: address, cpus"):
        read_spec(str(spec))
    spec.write_text('address = "http://head:1"\n')
    assert read_spec(str(spec)).address == "http://head:1"


def test_record_keeps_end_and_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTLIGHT_HOME", str(tmp_path))
    RECORD.write()
    assert JobRecord.read("tiny-1") == RECORD
    ended = RECORD.ended("FAILED", 3, "line\n")
    assert JobRecord.read("tiny-1") == ended
    assert (exit_code(ended), ended.kept_log()) == (3, "line\n")
    with pytest.raises(UserError, match="The newest are: tiny-1"):
        JobRecord.read("tiny-2")


def test_exit_codes() -> None:
    assert [exit_code(replace(RECORD, status=s)) for s in ("SUCCEEDED", "FAILED", "STOPPED")] == [0, 1, 130]


@pytest.mark.parametrize("moment", ["its keeper begins", "it has begun", "it gets the job", ""])
def test_a_head_started_for_a_job_is_ended_by_ctrl_c_at_any_moment_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    monkeypatch.setenv("FIRSTLIGHT_HOME", str(tmp_path))
    started, ended = list[object](), list[object]()

    def at(now: str) -> None:
        if now == moment:
            signal.raise_signal(signal.SIGINT)

    class Keeper:
        """A keeper's process whose head answers at once."""

        def __init__(self, *_: object, **__: object) -> None:
            self.pid = os.getpid()
            self.poll = lambda: None
            self.wait, self.terminate = lambda: None, lambda: ended.append(self)
            HeadRecord("http://127.0.0.1:1", "", self.pid).write()
            started.append(self)
            at("its keeper begins")

    def start_head(*arguments: Any, begin: Any = local.start_head) -> Any:
        head = begin(*arguments)
        at("it has begun")  # nothing was given to the caller yet
        return head

    monkeypatch.setattr(local, "subprocess", SimpleNamespace(Popen=Keeper, DEVNULL=None))
    monkeypatch.setattr(local, "start_head", start_head)
    client = SimpleNamespace(submit_job=lambda **_: at("it gets the job"))
    monkeypatch.setattr(jobs, "open_client", lambda *_: client)
    try:
        accepted = jobs.submit(ClusterSpec(), "try", [], lambda text: None).job.startswith("try-")
    except KeyboardInterrupt:
        accepted = False
    assert accepted == (not moment)
    assert len(started) == 1
    assert ended == (started if moment else [])


def run(home: Path, *command: str) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "FIRSTLIGHT_HOME": str(home)}
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, *command], env=env, text=True, stdout=pipe, stderr=pipe)


def wait_until_nothing(folder: str) -> None:
    began = time.monotonic()
    while members(folder) and time.monotonic() - began < 30:
        time.sleep(0.2)
    assert not members(folder)


@pytest.mark.ray
@pytest.mark.slow
def test_local_head_lives_as_long_as_its_jobs(tmp_path: Path) -> None:
    """First job: Ctrl-C of its submitter detaches. Second job: the same head. `stop` ends one, the head ends last."""
    temp = "import os; print(os.environ['RAY_TMPDIR'], flush=True)"
    first = run(tmp_path, "-c", SUBMIT, f"{temp}; import time; time.sleep(120)")
    assert first.stdout is not None
    job, *lines = [first.stdout.readline().strip() for _ in range(4)]
    folder = next(line for line in lines if line.startswith("/tmp/fl-"))
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=30)
    assert first.returncode == 130
    assert f"firstlight stop {job}" in err

    second = run(tmp_path, "-c", SUBMIT, f"{temp}; import sys; sys.exit(3)")
    out, err = second.communicate(timeout=120)
    assert second.returncode == 3
    assert "starting a local head" not in err
    assert folder in out

    stop = run(tmp_path, "-m", "pipeline", "stop", job)
    _, err = stop.communicate(timeout=120)
    assert (stop.returncode, f"job {job}: STOPPED" in err) == (0, True)
    wait_until_nothing(folder)
    assert not Path(folder).exists()

    logs = run(tmp_path, "-m", "pipeline", "logs", job)
    out, _ = logs.communicate(timeout=60)
    assert (logs.returncode, folder in out) == (130, True)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4, 7])  # the keeper has begun, its head, the head's own
def test_interrupt_before_the_job_is_accepted_takes_the_head_down(tmp_path: Path, processes: int) -> None:
    submit = run(tmp_path, "-c", SUBMIT, "print('never')")
    while len(of_home(tmp_path)) < processes:
        assert submit.poll() is None
        time.sleep(0.01)
    submit.send_signal(signal.SIGINT)
    submit.communicate(timeout=60)
    assert not of_home(tmp_path)


def of_home(home: Path) -> list[Path]:
    """The processes that were started with this state folder."""
    return [path for path in Path("/proc").glob("[0-9]*/environ") if names_home(path, home)]


def names_home(environ: Path, home: Path) -> bool:
    """Whether a process was started with this state folder."""
    try:
        return f"FIRSTLIGHT_HOME={home}\0".encode() in environ.read_bytes()
    except OSError:
        return False
