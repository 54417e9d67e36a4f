"""A replica of several workers as one run of Ray Train, and on plain actors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from cluster.errors import StageFailed
from cluster.launch import run_replicas
from models import checkpoint
from models.layout_config import Layout
from pipeline.pretrain import elastic
from tests.support.context import context


@pytest.mark.ray
@pytest.mark.parametrize(("host", "replicas"), [("actor", 2), ("train", 1)])
def test_a_replica_of_two_workers_trains(
    ray_session: None, tmp_path: Path, host: Literal["actor", "train"], replicas: int
) -> None:
    ctx, _ = context(str(tmp_path), "pretrain")
    layout = Layout(tensor=2)

    def launch(target: str, configs: list[dict[str, Any]], name: str, poll: Callable[[], None]) -> None:
        storage = str(tmp_path / "scratch")
        how: dict[str, Any] = {"num_cpus": 0.25, "name": name, "storage": storage, "poll": poll}
        run_replicas(target, configs, host=host, workers=layout.workers, **how)

    elastic.train(
        ctx,
        "tests.pipeline.pretrain.options.grouped:make_task",
        {"steps": 5, "shards": 2},
        replicas=replicas,
        threads=1,
        checkpoint_every=10,
        launch=launch,
        label="group",
        layout=layout,
    )
    weights, facts = checkpoint.load(ctx.folder.read_bytes, "model")
    assert facts["kind"] == "gpt"
    assert "blocks.1.mlp.down.weight" in weights
    assert len(ctx.folder.read_jsonl("metrics/steps.jsonl")) == 5


@pytest.mark.ray
@pytest.mark.parametrize("fails_in", [-1, 1])  # all workers; one whose result nobody reads
def test_a_mistake_of_a_worker_ends_the_run_with_its_reason(ray_session: None, tmp_path: Path, fails_in: int) -> None:
    ctx, _ = context(str(tmp_path), "pretrain")
    layout = Layout(tensor=2)

    def launch(target: str, configs: list[dict[str, Any]], name: str, poll: Callable[[], None]) -> None:
        storage = str(tmp_path / "scratch")
        how: dict[str, Any] = {"num_cpus": 0.25, "name": name, "storage": storage, "poll": poll}
        run_replicas(target, configs, host="train", workers=layout.workers, **how)

    how: dict[str, Any] = {"replicas": 1, "threads": 1, "checkpoint_every": 10, "launch": launch, "label": "group"}
    task = {"steps": 5, "shards": 2, "fails_at": 3, "fails_in": fails_in}
    with pytest.raises(StageFailed, match="no such batch"):
        elastic.train(ctx, "tests.pipeline.pretrain.options.grouped:make_task", task, layout=layout, **how)
