"""Metrics as TensorBoard's event files, by torch's own writer or by tensorboardX, whichever is installed."""

import importlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from cluster.errors import ConfigError


class _Events:
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def log(self, step: int, facts: dict[str, float]) -> None:
        for name, value in facts.items():
            self._writer.add_scalar(f"train/{name}", value, step)

    def close(self) -> None:
        self._writer.close()


def start(folder: Path, run: str, config: dict[str, Any]) -> _Events:
    """A writer of ``tensorboard/`` in the folder. Raises ConfigError where neither package is installed."""
    return _Events(load()(str(folder / "tensorboard")))


def load() -> Any:
    """The class of writers. Raises ConfigError where no package has one."""
    for name in ("torch.utils.tensorboard", "tensorboardX"):
        with suppress(ImportError):
            return importlib.import_module(name).SummaryWriter
    rule = "neither tensorboard nor tensorboardX is installed"
    raise ConfigError("pretrain.trackers", "tensorboard", rule, "pip install tensorboardX")
