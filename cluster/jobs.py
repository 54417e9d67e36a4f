"""Ray jobs: submit an entrypoint to a cluster, follow its log, stop it. Knows no stage and no recipe.

The log is a convenience; how a job ended is what its status says, as a log stream may break while the job goes on.
"""

import importlib
import secrets
import shlex
import sys
import time
import tomllib
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from cluster.config import ClusterSpec
from cluster.connect import open_client
from cluster.errors import ConfigError, FirstlightError, UserError
from cluster.home import ROOT
from cluster.records import HeadRecord, JobRecord

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

NOT_SHIPPED = [".git", ".venv", "runs", ".mypy_cache", ".ruff_cache", ".pytest_cache", "**/__pycache__"]
FASTEST_LOOK_SECONDS, SLOWEST_LOOK_SECONDS = 0.5, 10.0
LOG_CHARACTERS_A_SECOND = 2_000_000  # each look fetches the whole log, so a long log is looked at less often
SILENCE_SECONDS = 60.0
DOWN_SECONDS = 40.0
EXIT_CODES = {"SUCCEEDED": 0, "FAILED": 1, "STOPPED": 130}
UNREACHABLE = (ConnectionError, RuntimeError, OSError)


def read_spec(cluster: str) -> ClusterSpec:
    """What ``--cluster`` says: "local", the address of a Jobs API, or a TOML file with the fields of ClusterSpec."""
    if not cluster.endswith(".toml"):
        scheme = "" if cluster == "local" or "://" in cluster else "http://"
        if scheme and ":" not in cluster:
            remedy = 'Give "local", an address such as http://head:8265, or a TOML file.'
            raise UserError("--cluster", cluster, "it is neither an address nor a file", remedy)
        return ClusterSpec(address=scheme + cluster)
    try:
        return ClusterSpec(**tomllib.loads(Path(cluster).read_text()))
    except OSError as error:
        raise ConfigError("--cluster", cluster, f"the file cannot be read ({error.strerror})", "Mend it.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("--cluster", cluster, f"it is not TOML ({error})", "Mend it.") from error
    except ValidationError as error:
        first = error.errors()[0]
        known = ", ".join(ClusterSpec.model_fields)
        field = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{cluster}: {field}", first.get("input"), first["msg"], f"Fields: {known}.") from error


def submit(spec: ClusterSpec, name: str, arguments: list[str], say: Callable[[str], None]) -> JobRecord:
    """Submit ``python ARGUMENTS`` as a job, with this checkout importable; start a local head where none stands.

    Ctrl-C before the job is accepted takes down a head that was started for it.
    """
    job = f"{name}-{datetime.now():%m%d-%H%M%S}-{secrets.token_hex(2)}"
    if spec.address != "local":
        entrypoint = shlex.join([spec.python, *arguments])
        runtime = {"working_dir": str(ROOT), "excludes": NOT_SHIPPED}
        client = _reach(spec.address, spec.token_file)
        record = JobRecord(job, spec.address, False, spec.token_file, entrypoint)
        return _hand_over(client, record, runtime)
    entrypoint = shlex.join([sys.executable, *arguments])
    cloud = _local()
    with cloud.head_lock(), ExitStack() as undo:
        head = cloud.standing_head()
        if head is None:
            say("starting a local head ...")
            head = cloud.start_head(spec, undo)
        client = _reach(head.address, head.token_file)
        record = JobRecord(job, head.address, True, head.token_file, entrypoint)
        record = _hand_over(client, record, None)
        undo.pop_all()
        return record


def _local() -> Any:
    return importlib.import_module("cluster.clouds.local")


def _reach(address: str, token_file: str) -> "JobSubmissionClient":
    try:
        return open_client(address, token_file)
    except UNREACHABLE as error:
        remedy = "Start the cluster, mend the address, or set token_file (RAY_AUTH_TOKEN_PATH) to its token."
        raise UserError("--cluster", address, f"its Jobs API does not answer ({error})", remedy) from error


def _hand_over(client: "JobSubmissionClient", record: JobRecord, runtime: dict[str, Any] | None) -> JobRecord:
    """The record is written first: a job that runs must be found by ``logs`` and ``stop``."""
    record.write()
    client.submit_job(entrypoint=record.entrypoint, submission_id=record.job, runtime_env=runtime)
    return record


def follow(record: JobRecord, write: Callable[[str], None]) -> JobRecord:
    """Write the log as it grows until the job has ended; the record with its end.

    Raises FirstlightError where the cluster has not answered for a minute: then the job's fate is unknown.
    """
    written, heard = 0, time.monotonic()
    client: JobSubmissionClient | None = None
    while True:
        log = ""
        try:
            client = client or open_client(record.address, record.token_file)
            info = client.get_job_info(record.job)  # before the log: when it says "ended", the log is whole
            log = client.get_job_logs(record.job)
            heard = time.monotonic()
            if info.status.is_terminal():
                write(log[written:])
                return record.ended(str(info.status.value), info.driver_exit_code, log)
        except UNREACHABLE as error:
            kept = JobRecord.read(record.job)
            if kept.status:
                write(kept.kept_log()[written:])
                return kept
            if time.monotonic() - heard > SILENCE_SECONDS:
                why = f"{record.address} has not answered for {SILENCE_SECONDS:.0f} s ({error})"
                raise FirstlightError(f"{why}: whether job {record.job} goes on is unknown.") from error
        write(log[written:])
        written = max(written, len(log))
        pause = FASTEST_LOOK_SECONDS + len(log) / LOG_CHARACTERS_A_SECOND
        time.sleep(min(pause, SLOWEST_LOOK_SECONDS))


def log_now(record: JobRecord) -> str:
    """The log up to now, from the cluster, or the kept one of a job that has ended."""
    if record.status:
        return record.kept_log()
    return str(_reach(record.address, record.token_file).get_job_logs(record.job))


def stop(record: JobRecord) -> JobRecord:
    """Stop a job, and wait until it has ended, and a local head that no other job uses is down."""
    if not record.status:
        client = _reach(record.address, record.token_file)
        client.stop_job(record.job)
        record = follow(record, lambda text: None)
    if record.local:
        wait_until_down(record)
    return record


def wait_until_down(record: JobRecord) -> None:
    """Wait for the keeper of a job's local head to take it down, if it will: it stays while another job runs."""
    deadline, cloud = time.monotonic() + DOWN_SECONDS, _local()
    while time.monotonic() < deadline and cloud.keeper_lives():
        head = HeadRecord.read()
        if (head is not None and head.address != record.address) or _others_run(record):
            return
        time.sleep(0.2)


def _others_run(record: JobRecord) -> bool:
    try:
        jobs = open_client(record.address, record.token_file).list_jobs()
    except UNREACHABLE:
        return False
    return any(not job.status.is_terminal() for job in jobs if job.submission_id)


def exit_code(record: JobRecord) -> int:
    """The exit code for how a job ended: the driver's own where it failed with one."""
    if record.status == "FAILED" and record.exit_code and 0 < record.exit_code < 256:
        return record.exit_code
    return EXIT_CODES.get(record.status, 1)
