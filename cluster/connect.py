"""The driver's connection to Ray: an embedded local cluster, or the cluster that stands around a Ray job.

While connected, what Ray prints to the process's standard output and error goes to ``log_folder/driver.log``; the
terminal is ``Connection.out``. Knows no stage.
"""

import logging
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from cluster.config import ClusterConfig
from cluster.errors import FirstlightError, UserError
from cluster.home import ROOT, cluster_environment, environment, temp_folder
from cluster.interrupts import held, ignored

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

JOB_MARK = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # Ray's job supervisor sets it for the driver of a job
LOG_TAIL_BYTES = 4 << 20


@dataclass(frozen=True)
class Connection:
    """A live connection. ``out`` is the real standard output; ``hosts`` counts the machines at the start."""

    out: TextIO
    log_folder: Path
    embedded: bool
    hosts: int
    cpus: float


@contextmanager
def connect(config: ClusterConfig, log_folder: str, *, redirect: bool = True) -> Iterator[Connection]:
    """Connect the driver to Ray for the time of the block; an embedded cluster starts and ends with it.

    Call it in the main thread: the kernel ends an embedded cluster when the thread that started it dies, which is what
    leaves nothing behind after ``kill -9`` of the driver. ``redirect=False`` leaves the process's outputs alone.
    Raises UserError where the address does not answer.
    """
    assert threading.current_thread() is threading.main_thread(), "an embedded cluster ends with this thread"
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"  # a thread that outlives the connection must not start a new cluster
    logs = Path(log_folder)
    logs.mkdir(parents=True, exist_ok=True)
    in_job = JOB_MARK in os.environ
    embedded = config.address == "local" and not in_job
    with ExitStack() as stack:
        out = stack.enter_context(_outputs_to(logs / "driver.log")) if redirect else sys.stdout
        if embedded:
            stack.enter_context(_embedded(config, logs))
        else:
            stack.enter_context(_standing("auto" if in_job else config.address))
        import ray

        nodes = ray.nodes()  # type: ignore[no-untyped-call]
        hosts = len({node["NodeManagerAddress"] for node in nodes if node["Alive"]})
        cpus = ray.cluster_resources().get("CPU", 0.0)  # type: ignore[no-untyped-call]
        yield Connection(out, logs, embedded, hosts, cpus)


@contextmanager
def _outputs_to(path: Path) -> Iterator[TextIO]:
    """Send file descriptors 1 and 2, where Ray also writes from C++, to a file; yield the real standard output."""
    sys.stdout.flush()
    sys.stderr.flush()
    real_out, real_err = os.dup(1), os.dup(2)
    out = open(os.dup(real_out), "w", encoding=getattr(sys.stdout, "encoding", None) or "utf-8", errors="replace")
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    try:
        yield out
    finally:
        for stream in (sys.stdout, sys.stderr, out):
            with suppress(OSError, ValueError):  # a closed pipe must not hide what really went wrong
                stream.flush()
        os.dup2(real_out, 1)
        os.dup2(real_err, 2)
        os.close(real_out)
        os.close(real_err)
        with suppress(OSError):
            out.close()


@contextmanager
def _embedded(config: ClusterConfig, logs: Path) -> Iterator[None]:
    """A cluster of this process: started, stopped, and its temp folder removed; its logs are kept after a failure."""
    link = logs / "ray"
    with ExitStack() as stack:
        temp = stack.enter_context(temp_folder())
        stack.enter_context(environment(cluster_environment(temp)))
        with held():
            import ray

        try:
            with held():
                ray.init(
                    address="local",
                    num_cpus=config.cpus or os.cpu_count(),
                    object_store_memory=config.object_store_bytes,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
            _link(link, temp / "ray" / "session_latest" / "logs")
            yield
        except Exception:
            with ignored():
                _keep_logs(temp / "ray" / "session_latest" / "logs", link)
            raise
        finally:
            with ignored():
                ray.shutdown()
                if link.is_symlink():
                    link.unlink()


@contextmanager
def _standing(address: str) -> Iterator[None]:
    """A cluster that stands already: it is left as it was found."""
    with held():
        import ray

    try:
        with held():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        rule = f"no cluster answers there ({error})"
        remedy = 'Start it, mend the address, or use address = "local".'
        raise UserError("cluster.address", address, rule, remedy) from error
    try:
        yield
    finally:
        with ignored():
            ray.shutdown()


def _link(link: Path, target: Path) -> None:
    """Point log_folder/ray at the live logs, in place of what an earlier driver left there."""
    if link.is_symlink() or link.is_file():
        link.unlink()
    elif link.is_dir():
        shutil.rmtree(link, ignore_errors=True)
    link.symlink_to(target, target_is_directory=True)


def _keep_logs(source: Path, kept: Path) -> None:
    """Copy Ray's logs beside the run's own; of a long file, its end."""
    if kept.is_symlink():
        kept.unlink()
    for path in sorted(source.rglob("*")):
        target = kept / path.relative_to(source)
        with suppress(OSError):  # a log must not hide the failure that it is kept for
            if path.is_file() and path.stat().st_size:
                target.parent.mkdir(parents=True, exist_ok=True)
                with path.open("rb") as file:
                    file.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
                    target.write_bytes(file.read())


def check_workers_import_checkout() -> None:
    """Assert that a worker imports our packages from this checkout.

    Raises FirstlightError, with both places, where it does not: a copy elsewhere would run other code than was read.
    """
    import ray

    @ray.remote(num_cpus=0)
    def where() -> str:
        import cluster.home

        return str(cluster.home.ROOT)

    found = ray.get(where.remote())
    if found != str(ROOT):
        raise FirstlightError(f"workers import our packages from {found}, the driver from {ROOT}")


def open_client(address: str, token_path: str = "") -> "JobSubmissionClient":
    """A client of a Jobs API. The token goes in by hand, as Ray reads its own settings once a process.

    Raises ConnectionError or RuntimeError where it does not answer.
    """
    with environment({"RAY_ADDRESS": None, "RAY_API_SERVER_ADDRESS": None}):  # both would win over the argument
        with held():
            from ray.job_submission import JobSubmissionClient

        token = Path(token_path).read_text().strip() if token_path else ""
        return JobSubmissionClient(address, headers={"Authorization": f"Bearer {token}"} if token else None)
