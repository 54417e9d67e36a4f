"""What firstlight keeps for a user outside of any run: the cluster token, the jobs, and short private temp folders.

Knows no ray: it only says where things are, and which environment Ray's processes get.
"""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cluster.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
# A Unix socket's path holds 107 bytes, and Ray puts about 80 of its own after the temp folder.
LONGEST_TEMP_BASE = 12


def state_folder() -> Path:
    """The user's state folder, made where missing: ``$FIRSTLIGHT_HOME``, or firstlight in the XDG state folder.

    Raises UserError where it cannot be made.
    """
    own = os.environ.get("FIRSTLIGHT_HOME")
    xdg = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    folder = Path(own) if own else Path(xdg) / "firstlight"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        rule = f"the folder for tokens and jobs cannot be made ({error.strerror})"
        raise UserError("FIRSTLIGHT_HOME", str(folder), rule, "Set it to a folder that you can write.") from error
    return folder


def token_file() -> Path:
    """The token of the clusters that we start for this user: made once, readable by the user alone."""
    path = state_folder() / "token"
    if not path.exists():
        draft = path.with_name(f"token.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        with suppress(FileExistsError):  # another process was first: its token is the token
            os.link(draft, path)
        draft.unlink()
    return path


def token_environment() -> dict[str, str | None]:
    """The token of our own for a cluster that we start, unless the user has settings of Ray's.

    RAY_AUTH_MODE is left to ``ray.init``: set after ``import ray`` it would not be read.
    """
    named = "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ
    if named or os.environ.get("RAY_AUTH_MODE") == "disabled" or (Path.home() / ".ray" / "auth_token").exists():
        return {}
    return {"RAY_AUTH_TOKEN_PATH": str(token_file())}


def cluster_environment(temp: Path) -> dict[str, str | None]:
    """The environment of a cluster of ours on this host, whose own files stand in ``temp``; None: unset.

    A user's own token settings win. A private temp folder also keeps Ray from following the ``ray_current_cluster``
    file that a dead cluster left, which costs each Ray Train run 12 s.
    """
    paths = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    env: dict[str, str | None] = {
        "RAY_ADDRESS": None,  # it would win over address="local" inside Ray Train
        "RAY_TMPDIR": str(temp),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "RAYON_NUM_THREADS": os.environ.get("RAYON_NUM_THREADS", "1"),  # tokenizers would take every core in each task
    }
    env |= token_environment()
    return env


@contextmanager
def environment(values: dict[str, str | None]) -> Iterator[None]:
    """Set environment variables, or unset those that are None, for the time of the block."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def temp_folder() -> Iterator[Path]:
    """A private folder with a short name for one cluster, removed at the end with all that still runs in it.

    The reaper does it, in a session of its own, so that it is also done when this process is killed.
    """
    base = Path(tempfile.gettempdir())
    base = base if len(str(base)) <= LONGEST_TEMP_BASE else Path("/tmp")
    folder = Path(tempfile.mkdtemp(prefix="fl-", dir=base))
    command = [sys.executable, "-I", "-S", str(ROOT / "cluster" / "reaper.py"), str(folder)]
    quiet = subprocess.DEVNULL
    reaper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        yield folder
    finally:
        assert reaper.stdin is not None
        reaper.stdin.close()
        reaper.wait()
