"""Weights & Biases and MLflow, by stand-ins of their modules: what is called, and that a resumed run is the same."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.pretrain.trackers import mlflow, wandb


class Service:
    """Takes any call and keeps it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((name, args, kwargs))
            return SimpleNamespace(log=call_of("log"), finish=call_of("finish"), info=SimpleNamespace(run_id="r1"))

        def call_of(other: str) -> Any:
            return lambda *args, **kwargs: self.calls.append((other, args, kwargs))

        return call

    def said(self, name: str) -> list[Any]:
        return [(args, kwargs) for called, args, kwargs in self.calls if called == name]


def test_wandb_goes_on_with_the_run_of_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service()
    monkeypatch.setitem(sys.modules, "wandb", service)
    for run in ("runs/a", "runs/a", "runs/b"):
        tracker = wandb.start(tmp_path / "timing", run, {"tokens": 5})
        tracker.log(7, {"loss": 1.5})
        tracker.close()
    ids = [kwargs["id"] for _, kwargs in service.said("init")]
    assert ids[0] == ids[1] != ids[2]
    assert service.said("init")[0][1]["config"] == {"tokens": 5}
    assert service.said("log")[0] == (({"loss": 1.5},), {"step": 7})
    assert len(service.said("finish")) == 3


def test_mlflow_goes_on_with_the_run_that_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service()
    monkeypatch.setitem(sys.modules, "mlflow", service)
    for _ in range(2):
        tracker = mlflow.start(tmp_path, "runs/a", {"tokens": 5})
        tracker.log(7, {"loss": 1.5})
        tracker.close()
    assert [kwargs["run_id"] for _, kwargs in service.said("start_run")] == [None, "r1"]
    assert service.said("log_params") == [(({"tokens": "5"},), {})]
    assert service.said("log_metrics")[0] == (({"loss": 1.5},), {"step": 7})
    assert len(service.said("end_run")) == 2
