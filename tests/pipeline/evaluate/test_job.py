"""The evaluation on a real Ray cluster: pieces, results, resumption, and any number of workers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.evaluate.config import EvaluateConfig
from pipeline.evaluate.job import run
from pipeline.stage import StageContext, StageFolder
from tests.pipeline.evaluate.tiny import write_run


class Bar:
    """Counts what a progress bar is told."""

    def __init__(self) -> None:
        self.done = 0

    def advance(self, n: int = 1, **facts: object) -> None:
        self.done += n


@pytest.mark.ray
def test_workers_change_nothing_and_pieces_that_stand_are_kept(ray_session: Path, tmp_path: Path) -> None:
    inputs = write_run(str(tmp_path))
    told: list[int] = []

    @contextmanager
    def progress(label: str, total: float, unit: str) -> Iterator[Any]:
        bar = Bar()
        yield bar
        assert bar.done == total
        told.append(bar.done)

    def evaluate(fingerprint: str, workers: int) -> tuple[dict[str, Any], dict[str, Any]]:
        config: Any = SimpleNamespace(evaluate=EvaluateConfig(workers=workers, chunk_items=4), seed=1)
        folder = StageFolder.open(str(tmp_path), "evaluate@pretrain", fingerprint)
        ctx = StageContext("evaluate@pretrain", config, folder, inputs, lambda kind, **facts: None, progress)
        run(ctx)
        return {p: folder.record(p)["sha256"] for p in folder.pieces()}, ctx.counts  # type: ignore[index]

    two = evaluate("a", 4)  # more than the cluster has CPUs for: the others stay unused
    assert evaluate("a", 4) == two and len(told) == 1
    assert evaluate("b", 1) == two and told[0] == told[1]
    assert two[1]["items"] == {"choice": 7, "cloze": 7}
    assert "results.json" in two[0]
