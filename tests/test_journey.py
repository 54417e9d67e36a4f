"""The whole journey as a user runs it: a command, killed at random and given again, ends as if nothing had happened."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.stages import NAMES
from tests.support import golden, micro

ROOT = Path(__file__).resolve().parent.parent
pytestmark = [pytest.mark.ray, pytest.mark.slow]


def firstlight(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", *words]
    environment = {**os.environ, **(env or {})}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, timeout=900)


def digests(run: Path) -> dict[str, str]:
    out = firstlight("verify", str(run))
    assert out.returncode == 0, out.stdout + out.stderr
    return dict(line.split() for line in out.stdout.splitlines())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A recipe with its sources, and a home of its own for tokens and state."""
    folder = tmp_path_factory.mktemp("journey")
    micro.write(folder)
    before = os.environ.get("FIRSTLIGHT_HOME")
    os.environ["FIRSTLIGHT_HOME"] = str(folder / "home")
    yield folder
    if before is None:
        del os.environ["FIRSTLIGHT_HOME"]
    else:
        os.environ["FIRSTLIGHT_HOME"] = before


@pytest.fixture(scope="module")
def calm(home: Path) -> Path:
    """A run that nothing disturbed."""
    run = home / "calm"
    out = firstlight("run", str(home / "micro.toml"), "--out", str(run))
    assert out.returncode == 0, out.stdout + out.stderr
    assert "report.html" in out.stdout
    return run


def test_every_stage_stands_and_the_report_is_whole(calm: Path) -> None:
    assert list(digests(calm)) == list(NAMES)
    page = (calm / "report.html").read_text()
    assert "could not be drawn" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    twin = (calm / "report.md").read_text()
    for stage in ("Search", "Pretraining", "Evaluation", "Reward"):
        assert stage in twin


def test_the_digests_are_the_golden_ones(calm: Path) -> None:
    """Else a stage's result changed: raise its version in pipeline/stages.py, `python -m tests.support.golden RUN`."""
    found, expected = digests(calm), golden.read()
    for stage in ("corpus", "tokens"):
        assert found[stage] == expected["any"][stage], stage
    if golden.machine() not in expected:
        pytest.skip(f"no golden digests of weights for this machine type ({golden.machine()})")
    assert found == {**expected["any"], **expected[golden.machine()]}


def test_running_again_makes_nothing_and_starts_no_ray(calm: Path, home: Path) -> None:
    before, start = digests(calm), time.monotonic()
    out = firstlight("run", str(home / "micro.toml"), "--out", str(calm))
    assert out.returncode == 0, out.stderr
    assert "starting Ray" not in out.stdout
    assert out.stdout.count(" stood") == len(NAMES)
    assert digests(calm) == before
    assert time.monotonic() - start < 60


def test_a_changed_execution_field_reruns_nothing(calm: Path, home: Path) -> None:
    sets = ["--set", "pretrain.replicas=1", "--set", "evaluate.workers=1", "--set", "rlhf.rollout_actors=1"]
    out = firstlight("run", str(home / "micro.toml"), "--out", str(calm), *sets)
    assert out.returncode == 0, out.stderr
    assert out.stdout.count(" stood") == len(NAMES)


def test_a_changed_result_field_reruns_what_depends_on_it(calm: Path, home: Path) -> None:
    run = home / "changed"
    shutil.copytree(calm, run, ignore=shutil.ignore_patterns("lease"))
    out = firstlight("run", str(home / "micro.toml"), "--out", str(run), "--set", "export.title=Another")
    assert out.returncode == 0, out.stderr
    assert out.stdout.count(" stood") == len(NAMES) - 1
    assert {s for s, d in digests(run).items() if d != digests(calm)[s]} == {"export"}


def test_a_driver_that_is_killed_at_random_ends_with_the_calm_digests(calm: Path, home: Path) -> None:
    """kill -9 of the driver in six stages, one replica instead of two at the end, and still the same lines."""
    run = home / "killed"
    command = [sys.executable, "-m", "pipeline", "run", str(home / "micro.toml"), "--out", str(run)]
    for moment in ("corpus/.pieces", "tokens/.pieces", "search/trials", "pretrain/timing", "reward", "rlhf/.pieces"):
        child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not (run / moment).exists():
            assert child.poll() is None, f"the driver ended before {moment}"
            time.sleep(0.02)
        time.sleep(0.4)
        child.send_signal(signal.SIGKILL)
        child.wait()
    out = firstlight("run", str(home / "micro.toml"), "--out", str(run), "--set", "pretrain.replicas=1")
    assert out.returncode == 0, out.stdout + out.stderr
    assert digests(run) == digests(calm)


def test_a_second_driver_is_refused(home: Path) -> None:
    run = home / "two"
    command = [
        sys.executable,
        "-m",
        "pipeline",
        "run",
        str(home / "micro.toml"),
        "--out",
        str(run),
        "--until",
        "corpus",
    ]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not any('"run_start"' in path.read_text() for path in run.glob("events/*")):
        assert first.poll() is None
        time.sleep(0.02)
    out = firstlight("run", str(home / "micro.toml"), "--out", str(run))
    assert out.returncode == 2
    assert str(first.pid) in out.stderr
    first.send_signal(signal.SIGINT)
    assert first.wait() == 130
    events = "".join(p.read_text() for p in sorted((run / "events").iterdir()))
    assert '"interrupted"' in events
    assert (run / "report.html").exists()


def test_a_changed_byte_is_found_by_verify(calm: Path, home: Path) -> None:
    run = home / "corrupt"
    shutil.copytree(calm, run, ignore=shutil.ignore_patterns("lease"))
    victim = next((run / "tokens" / "train").rglob("*.bin"))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    out = firstlight("verify", str(run))
    assert out.returncode == 1
    assert "tokens BROKEN" in out.stdout
    (run / "pretrain" / "manifest.json").unlink()
    for piece in (run / "pretrain" / ".pieces" / "model").iterdir():
        piece.unlink()
    again = firstlight("run", str(home / "micro.toml"), "--out", str(run))
    assert again.returncode == 1
    assert "Remove the folder" in again.stderr


def test_chat_answers(calm: Path) -> None:
    out = subprocess.run(
        [sys.executable, "-m", "pipeline", "chat", str(calm)], cwd=ROOT, input="hello\n", capture_output=True, text=True
    )
    assert out.returncode == 0, out.stderr
    assert out.stdout.startswith("< ")


@pytest.mark.parametrize("stage", ["corpus", "tokens"])
def test_inspect_shows_something(calm: Path, stage: str) -> None:
    out = firstlight("inspect", str(calm), stage)
    assert out.returncode == 0, out.stderr
    assert len(out.stdout.splitlines()) > 5


def test_status_is_done_everywhere(calm: Path) -> None:
    out = firstlight("status", str(calm), "--json")
    assert {one["state"] for one in json.loads(out.stdout)} == {"done"}
