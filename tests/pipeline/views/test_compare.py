import json
from pathlib import Path

from pipeline.sections import Table
from pipeline.stage import StageFolder
from pipeline.views.compare import predicted_and_measured
from tests.support.fake_run import STAGES, FakeRun, failed, half, whole


def tables(run: FakeRun) -> list[Table]:
    plan = json.loads(Path(run.root, "plan.json").read_text())
    manifests = {stage.name: StageFolder.open(run.root, stage.name).manifest() or {} for stage in STAGES}
    (group,) = predicted_and_measured(plan, run.root, manifests)
    return group.tables


def test_a_whole_run(tmp_path: Path) -> None:
    totals, stages = tables(whole(tmp_path / "run"))
    assert totals.rows == [
        ["parameters", "3,412,480", "3,412,480", "1.00"],
        ["FLOPs", "24.9 TFLOP", "24.7 TFLOP", "0.99"],
        ["time", "4 min 07 s", "4 min 07 s", "1.00"],
        ["peak memory", "2.7 GiB", "1.77 GiB", "0.66"],
    ]
    assert stages.rows[2] == ["pretrain", "24 TFLOP", "23.8 TFLOP", "2 min 31 s", "2 min 31 s", "1.00", "158 GFLOP/s"]


def test_sums_compare_only_what_has_both_figures(tmp_path: Path) -> None:
    totals, _ = tables(failed(tmp_path / "run"))
    assert totals.rows[0] == ["parameters", "3,412,480", None, "–"]
    assert totals.rows[1] == ["FLOPs", None, None, "–"]
    assert totals.rows[2] == ["time", "1 min 00 s", "1 min 00 s", "1.00"]


def test_trained_tokens_give_the_flops_of_a_stage_that_counts_none(tmp_path: Path) -> None:
    run = half(tmp_path / "run")
    run.stage(STAGES[2], {})
    folder = StageFolder.open(run.root, "pretrain", "f" * 64)
    folder.write_jsonl("metrics/steps.jsonl", [{"tokens": 1000}, {"tokens": 650_000}])
    _, stages = tables(run)
    assert stages.rows[2][1:3] == ["24 TFLOP", "12 TFLOP"]


def test_no_plan_no_table(tmp_path: Path) -> None:
    assert predicted_and_measured({}, half(tmp_path / "run").root, {}) == []
