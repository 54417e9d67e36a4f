"""A local head for jobs: real Ray processes of this host, kept while a job runs in it, then taken down by its keeper.

The keeper is a process of its own (``python -m cluster.clouds.local SPEC``), the head's parent, so the head needs
nobody who waits: a submitter may detach, or be killed. Only what the keeper started is ended. Knows no stage.
"""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from cluster.config import ClusterSpec
from cluster.connect import open_client
from cluster.errors import FirstlightError
from cluster.home import ROOT, cluster_environment, environment, temp_folder, token_file
from cluster.interrupts import held
from cluster.records import HeadRecord, JobRecord

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

START_SECONDS = 120.0
FIRST_JOB_SECONDS = 120.0  # a head whose submitter died before its job came
LINGER_SECONDS = 3.0  # after the last job, for those who read its last lines
LOOK_SECONDS = 1.0


@contextmanager
def head_lock(name: str = "lock") -> Iterator[None]:
    """Held while a head is looked for, started and given its job, and while a keeper decides to end.

    A second one, "keeper", is held for a keeper's whole life; the kernel drops it however the keeper ends.
    """
    with (HeadRecord.folder() / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def keeper_lives() -> bool:
    """Whether this checkout's head has not been taken down to the end."""
    with (HeadRecord.folder() / "keeper").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def standing_head() -> HeadRecord | None:
    """The head of this checkout, if it answers."""
    record = HeadRecord.read()
    if record is not None:
        try:
            open_client(record.address, record.token_file)
        except (ConnectionError, RuntimeError, OSError):
            return None
    return record


def start_head(spec: ClusterSpec, undo: ExitStack) -> HeadRecord:
    """Start a keeper, whose end is put on ``undo`` at once, and wait until its head answers.

    Raises FirstlightError, with the log, where it does not.
    """
    log = HeadRecord.folder() / "head.log"
    command = [sys.executable, "-m", "cluster.clouds.local", spec.model_dump_json()]
    none, deadline = subprocess.DEVNULL, time.monotonic() + START_SECONDS
    with log.open("wb") as out, held():  # a keeper that nobody knows would live on
        keeper = subprocess.Popen(command, cwd=ROOT, stdin=none, stdout=out, stderr=out, start_new_session=True)
        undo.callback(end_keeper, keeper)
    while time.monotonic() < deadline and keeper.poll() is None:
        record = HeadRecord.read()
        if record is not None and record.pid == keeper.pid:
            return record
        time.sleep(0.1)
    end_keeper(keeper)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
    raise FirstlightError(f"the local head did not start; the end of {log}:\n{tail}")


def end_keeper(keeper: "subprocess.Popen[bytes]") -> None:
    """Let a keeper take its head down, and wait for it; a second Ctrl-C does not wait."""
    with held():
        if keeper.poll() is None:
            keeper.terminate()
        keeper.wait()


def keep(spec: ClusterSpec) -> None:
    """The keeper's whole life: start the head, publish it, wait for its jobs to end, take it down."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with ExitStack() as stack:
        stack.enter_context(head_lock("keeper"))  # an earlier keeper has ended its head first
        temp = stack.enter_context(temp_folder())
        port = free_port()
        token = os.environ.get("RAY_AUTH_TOKEN_PATH") or str(token_file())
        own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": token, "RAY_AUTH_TOKEN": None}
        with environment({**cluster_environment(temp), **own}):
            head = subprocess.Popen(_start_command(spec, port), cwd=ROOT)
        stack.callback(_end, head)
        record = HeadRecord(f"http://127.0.0.1:{port}", token, os.getpid())
        client = _wait_for(head, record)
        record.write()
        stack.callback(record.remove)
        stack.callback(_remember, client)
        _wait_for_jobs(head, client, record)


def _start_command(spec: ClusterSpec, dashboard_port: int) -> list[str]:
    """``ray start --block``, its Jobs API on the loop-back interface, with ports that no other cluster here uses."""
    options = {
        "port": free_port(),
        "dashboard-host": "127.0.0.1",
        "dashboard-port": dashboard_port,
        "dashboard-agent-listen-port": free_port(),
        "ray-client-server-port": free_port(),
        "num-cpus": spec.cpus or os.cpu_count(),
        "object-store-memory": spec.object_store_bytes,
        "include-dashboard": "true",
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats", *flags]


def free_port() -> int:
    """A TCP port of the loop-back interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(head: "subprocess.Popen[bytes]", record: HeadRecord) -> "JobSubmissionClient":
    deadline = time.monotonic() + START_SECONDS
    while head.poll() is None and time.monotonic() < deadline:
        try:
            client = open_client(record.address, record.token_file)
            client.list_jobs()
            return client
        except (ConnectionError, RuntimeError, OSError):
            time.sleep(0.2)
    raise FirstlightError(f"ray start ended with {head.poll()}, or its Jobs API did not answer")


def _jobs(client: "JobSubmissionClient") -> list[Any]:
    return [job for job in client.list_jobs() if job.submission_id]


def _busy(client: "JobSubmissionClient") -> bool:
    return any(not job.status.is_terminal() for job in _jobs(client))


def _wait_for_jobs(head: "subprocess.Popen[bytes]", client: "JobSubmissionClient", record: HeadRecord) -> None:
    """Return when the head died, or its jobs have ended and nobody gave it a new one."""
    seen, idle_since = False, time.monotonic()
    while head.poll() is None:
        time.sleep(LOOK_SECONDS)
        try:
            if _busy(client):
                seen, idle_since = True, time.monotonic()
            seen = seen or bool(_jobs(client))
            if time.monotonic() - idle_since <= (LINGER_SECONDS if seen else FIRST_JOB_SECONDS):
                continue
            with head_lock():
                if not _busy(client):
                    record.remove()
                    return
        except (ConnectionError, RuntimeError, OSError) as error:
            print(f"the Jobs API did not answer: {error}", flush=True)


def _remember(client: "JobSubmissionClient") -> None:
    """Keep the log and the end of each job: they would go with the head."""
    for job in _jobs(client):
        record = JobRecord.read(job.submission_id)
        if not record.status:
            ended = job.status.is_terminal()
            log = client.get_job_logs(job.submission_id)
            record.ended(str(job.status.value) if ended else "STOPPED", job.driver_exit_code, log)


def _end(head: "subprocess.Popen[bytes]") -> None:
    """SIGTERM lets ``ray start --block`` end its services; what outlives it is the reaper's."""
    head.terminate()
    try:
        head.wait(timeout=10)
    except subprocess.TimeoutExpired:
        head.kill()
        head.wait()


if __name__ == "__main__":
    keep(ClusterSpec.model_validate_json(sys.argv[1]))
