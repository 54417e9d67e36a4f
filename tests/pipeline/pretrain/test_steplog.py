"""The log of steps beside the result: segments, pace and peak."""

from pathlib import Path

import pytest
import torch

from pipeline.pretrain import pace, steplog
from pipeline.pretrain.pace import Pace
from pipeline.pretrain.steplog import StepLog
from pipeline.stage import StageFolder


def folder(tmp_path: Path) -> StageFolder:
    return StageFolder.open(str(tmp_path), "pretrain", "f")


def test_lines_come_back_in_order_over_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steplog, "LINES_A_SEGMENT", 3)
    where = folder(tmp_path)
    log = StepLog(where, 0)
    for step in range(8):
        log.add({"step": step, "x": step / 2})
    log.write()
    assert len(list(where.storage.list("pretrain/timing"))) == 3
    assert [line["step"] for line in steplog.read(where)] == list(range(8))
    assert [line["step"] for line in steplog.read(where, after=4)] == [5, 6, 7]
    assert steplog.read(where, after=7) == []


def test_a_step_made_again_after_a_resume_has_its_later_line(tmp_path: Path) -> None:
    where = folder(tmp_path)
    first, second = StepLog(where, 0), StepLog(where, 1)
    for step in range(10):
        first.add({"step": step, "by": 0})
    first.write()
    for step in range(7, 12):
        second.add({"step": step, "by": 1})
    second.write()
    assert [(line["step"], line["by"]) for line in steplog.read(where)] == [
        *((step, 0) for step in range(7)),
        *((step, 1) for step in range(7, 12)),
    ]


def test_nothing_measured_is_no_line(tmp_path: Path) -> None:
    StepLog(folder(tmp_path), 0).write()
    assert steplog.read(folder(tmp_path)) == []


def test_a_step_lasts_from_the_end_of_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 2.0, 5.0, 9.0])
    monkeypatch.setattr(pace, "gemm_peak", lambda precision: 100.0)
    monkeypatch.setattr(pace.time, "perf_counter", lambda: next(now))
    where = folder(tmp_path)
    measured = Pace(StepLog(where, 0))
    measured.mark({"step": 0}, 2, True, 200.0, {"loader_wait": 0.5})
    measured.mark({"step": 1}, 2, False, 200.0, {"loader_wait": 0.5})
    measured.mark({"step": 2}, 1, True, 0.0, {"loader_wait": 1.5})
    measured.write()
    first, last = steplog.read(where)
    assert (first["seconds"], first["loader_wait"], first["mfu"]) == (2.0, 0.5, 200.0 / 2.0 / 2 / 100.0)
    assert (last["step"], last["seconds"], last["loader_wait"]) == (2, 4.0, 1.0)
    assert "mfu" not in last and last["memory_bytes"] > 1 << 20


def test_the_flops_of_a_replica_are_shared_by_its_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 2.0])
    monkeypatch.setattr(pace, "gemm_peak", lambda precision: 100.0)
    monkeypatch.setattr(pace.time, "perf_counter", lambda: next(now))
    where = folder(tmp_path)
    measured = Pace(StepLog(where, 0), workers=4)
    measured.mark({"step": 0}, 2, True, 800.0, {})
    measured.write()
    assert steplog.read(where)[0]["mfu"] == 800.0 / 2.0 / 2 / 4 / 100.0


def test_the_most_memory_stays_when_it_is_given_back() -> None:
    least = pace.memory_bytes() + (60 << 20)
    block = bytearray(b"x") * (64 << 20)
    assert pace.peak_bytes() > 0.97 * least  # the system counts it loosely
    del block
    assert pace.peak_bytes() > 0.97 * least


def test_the_peak_is_at_least_what_one_product_reaches() -> None:
    torch.set_num_threads(1)
    assert 1e9 < pace.gemm_peak() < 1e13
