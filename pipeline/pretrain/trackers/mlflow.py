"""Metrics to MLflow. Where its server is and which experiment it is are read from MLFLOW_* variables, as always."""

import importlib
from pathlib import Path
from typing import Any

from cluster.errors import ConfigError

ID = "mlflow-run"  # a file that names the run there, so that a resumed run goes on with it


class _Run:
    def __init__(self, mlflow: Any) -> None:
        self._mlflow = mlflow

    def log(self, step: int, facts: dict[str, float]) -> None:
        self._mlflow.log_metrics(facts, step=step)

    def close(self) -> None:
        self._mlflow.end_run()


def start(folder: Path, run: str, config: dict[str, Any]) -> _Run:
    """A run there, the same after a resume. Raises ConfigError where mlflow is not installed."""
    mlflow = load()
    note = folder / ID
    made = mlflow.start_run(run_id=note.read_text() if note.exists() else None, run_name=Path(run).name)
    if not note.exists():
        folder.mkdir(parents=True, exist_ok=True)
        note.write_text(made.info.run_id)
        mlflow.log_params({key: str(value)[:500] for key, value in config.items()})
    return _Run(mlflow)


def load() -> Any:
    """The package. Raises ConfigError where it is not installed."""
    try:
        return importlib.import_module("mlflow")
    except ImportError:
        rule = "the package mlflow is not installed"
        raise ConfigError("pretrain.trackers", "mlflow", rule, "pip install mlflow-skinny") from None
