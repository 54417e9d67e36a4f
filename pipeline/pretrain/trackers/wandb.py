"""Metrics to Weights & Biases. Project, entity and offline mode are read from WANDB_* variables, as always."""

import hashlib
import importlib
from pathlib import Path
from typing import Any

from cluster.errors import ConfigError


class _Run:
    def __init__(self, run: Any) -> None:
        self._run = run

    def log(self, step: int, facts: dict[str, float]) -> None:
        self._run.log(facts, step=step)

    def close(self) -> None:
        self._run.finish()


def start(folder: Path, run: str, config: dict[str, Any]) -> _Run:
    """A run there, the same after a resume: its id is made of the run's folder. Raises ConfigError without wandb."""
    wandb = load()
    folder.mkdir(parents=True, exist_ok=True)
    name, key = Path(run).name, hashlib.sha256(str(Path(run).absolute()).encode()).hexdigest()[:12]
    return _Run(wandb.init(dir=str(folder), name=name, id=key, resume="allow", config=config))


def load() -> Any:
    """The package. Raises ConfigError where it is not installed."""
    try:
        return importlib.import_module("wandb")
    except ImportError:
        rule, remedy = "the package wandb is not installed", "pip install wandb, then wandb login"
        raise ConfigError("pretrain.trackers", "wandb", rule, remedy) from None
