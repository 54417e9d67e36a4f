"""Targets for tests of replicas: they say that they live by a file, and wait for another file to finish."""

import os
import time
from pathlib import Path
from typing import Any

from cluster.errors import UserError


def line_then_wait(config: dict[str, Any]) -> str:
    """Append this process's id to ``DIR/NAME.pids``, wait for ``DIR/go``, return the name."""
    folder = Path(config["dir"])
    with (folder / f"{config['name']}.pids").open("a") as file:
        file.write(f"{os.getpid()}\n")
    while not (folder / "go").exists():
        time.sleep(0.05)
    return str(config["name"])


def fail(config: dict[str, Any]) -> None:
    """Raise: a mistake of the target."""
    raise ZeroDivisionError(f"on purpose in {config['name']}")


def refuse(config: dict[str, Any]) -> None:
    """Raise an error of ours, which must arrive whole."""
    raise UserError("data.path", config["name"], "it does not exist", "Name a file that does.")
