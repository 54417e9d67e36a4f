"""The end of a run: one line a stage, and what its stages were loud about."""

import io
from pathlib import Path
from typing import Any

import pytest

from cluster.telemetry import Terminal
from pipeline import cli
from pipeline.run import Made
from pipeline.views import summary
from tests.support.fake_run import STAGES, FakeRun, views, whole


def warned(run: FakeRun, *stages: str) -> list[str]:
    stream = io.StringIO()
    summary.print_warnings(run.root, Terminal(stream), list(stages or ("corpus", "pretrain")))
    return stream.getvalue().splitlines()


def lossy(folder: Path, **facts: Any) -> FakeRun:
    run = FakeRun(folder)
    run.event("stage_start", stage="corpus")
    run.event("source_lost", stage="corpus", step="near_dup", source="old", share=0.9)
    run.stage(STAGES[0], {"funnel.json": {"plays": 12}})  # begins anew: what was told before is of another making
    told: dict[str, Any] = {"step": "near_dup", "source": "wiki", "share": 0.8312, **facts}
    run.event("source_lost", stage="corpus", **told)
    run.event("files_set_aside", stage="corpus", source="wiki", reason="truncated", files=3)
    run.event("replica_joined", stage="pretrain", replica=0)
    return run


def test_what_was_loud_when_the_stage_was_last_made_is_told(tmp_path: Path) -> None:
    assert warned(lossy(tmp_path / "run")) == [
        "",
        "warning  corpus: source lost: step near_dup, source wiki, share 83.1%",
        "warning  corpus: files set aside: source wiki, reason truncated, files 3",
    ]
    run = whole(tmp_path / "whole")
    run.event("fault", stage="pretrain", what="step redone", times=2)
    assert warned(run) == ["", "warning  pretrain: step redone: times 2"]
    assert warned(run, "tokens") == []


def test_many_of_a_kind_are_counted_and_no_line_is_long_or_drives_the_terminal(tmp_path: Path) -> None:
    run = lossy(tmp_path / "run", source="\x1b[2Jword " * 99)
    for files in range(9):
        run.event("files_set_aside", stage="corpus", source="wiki", reason="damaged", files=files)
    lines = warned(run)
    assert sum("files set aside: " in line for line in lines) == summary.MOST_OF_A_KIND
    assert any("files set aside, 5 more" in line for line in lines)
    assert max(map(len, lines)) <= summary.COLUMNS and not any("\x1b" in line for line in lines) and len(lines) < 20


def test_they_stand_under_the_table_of_a_run_and_under_inspect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = lossy(tmp_path / "run")
    monkeypatch.setattr(summary, "views", views)
    stream = io.StringIO()
    summary.print_summary(run.root, [Made("corpus", True, "d" * 64, 3.0)], Terminal(stream))
    said = stream.getvalue()
    assert said.index("corpus      ") < said.index("warning  corpus: source lost") < said.index("report.html")
    monkeypatch.setattr("pipeline.corpus.inspect.show", lambda folder, asked: None)
    cli.inspect(run.root, "corpus")
    assert "warning  corpus: files set aside: source wiki" in capsys.readouterr().out
    cli.inspect(run.root, "corpus", step="clean")
    assert "warning" not in capsys.readouterr().out
