"""The driver's plan: of which config it is, when it is made anew, and what of it is kept."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cluster.storage import LocalStorage
from pipeline.lineage import commit
from pipeline.recipes import load
from pipeline.run import Driver, _keep_plan
from pipeline.stage import StageContext, StageFolder
from pipeline.stages import JOURNEY, NAMES
from pipeline.views.plan import make_plan

Keep = Callable[..., dict[str, Any]]
RATES = [5e10, 7e10, 9e10]


def driver(run: Path, sets: tuple[str, ...], told: list[dict[str, Any]]) -> Driver:
    events = SimpleNamespace(add=lambda kind, **facts: told.append({"kind": kind, **facts}))
    return cast(Driver, SimpleNamespace(config=load("tiny", [*sets]), storage=LocalStorage(run), events=events))


@pytest.fixture
def told() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def keep(tmp_path: Path, told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Keep:
    """One call is one command's plan, on a machine whose rate is another one at each measurement."""
    rates = iter(RATES)
    monkeypatch.setattr("pipeline.views.plan.measure_rate", lambda threads: next(rates))

    def keep(*sets: str) -> dict[str, Any]:
        _keep_plan(driver(tmp_path, sets, told))
        found: dict[str, Any] = json.loads((tmp_path / "plan.json").read_text())
        return found

    return keep


def finish(run: Path, until: str, *sets: str) -> None:
    """Commit empty stages, which stand for that config."""
    config, digests = load("tiny", [*sets]), dict[str, str]()
    for stage in JOURNEY[: NAMES.index(until) + 1]:
        folder = StageFolder.open(str(run), stage.name, stage.fingerprint(config, digests))
        context = StageContext(stage.name, config, folder, {}, cast(Any, None), cast(Any, None))
        digests[stage.name] = commit(stage, context, {"seconds": 1.0})


def same(one: dict[str, Any], other: dict[str, Any], stage: str) -> bool:
    return all(one[name].get(stage) == other[name].get(stage) for name in ("tokens", "steps", "flops", "seconds"))


def test_an_unchanged_command_keeps_the_plan_and_its_rate(keep: Keep, told: list[dict[str, Any]]) -> None:
    first = keep()
    assert keep() == first and first["rate_flops"] == RATES[0]
    assert told == []


def test_what_is_made_again_is_predicted_anew_at_the_rate_that_was_measured(
    keep: Keep, tmp_path: Path, told: list[dict[str, Any]]
) -> None:
    first = keep()
    finish(tmp_path, "export")
    other = keep("pretrain.tokens=400000")
    assert other["tokens"]["pretrain"] < first["tokens"]["pretrain"]
    assert other["rate_flops"] == first["rate_flops"]
    assert all(same(first, other, stage) for stage in NAMES if stage != "pretrain")
    assert [one["kind"] for one in told] == ["plan_renewed"]
    assert told[0]["kept_for"] == "corpus, tokens, search"


def test_what_stands_keeps_its_prediction_under_fields_that_change_no_result(keep: Keep, tmp_path: Path) -> None:
    first = keep()
    finish(tmp_path, "evaluate@pretrain")
    other = keep("pretrain.replicas=4", "evaluate.workers=4", "finetune.replicas=4")
    assert same(first, other, "pretrain") and same(first, other, "evaluate@pretrain")
    assert other["peaks"] == first["peaks"] and other["memory"] == first["memory"]
    assert other["seconds"]["finetune"] != first["seconds"]["finetune"]
    assert other["seconds"]["evaluate@finetune"] != first["seconds"]["evaluate@finetune"]
    assert "of an earlier plan" in other["notes"][-1]


def test_other_threads_are_measured_and_move_nothing_that_stands(keep: Keep, tmp_path: Path) -> None:
    first = keep()
    finish(tmp_path, "pretrain")
    other = keep("pretrain.threads=2")
    assert (other["threads"], other["rate_flops"]) == (2, RATES[1])
    assert same(first, other, "search")
    assert other["seconds"]["pretrain"] < first["seconds"]["pretrain"]
    assert keep("pretrain.threads=2") == other


def test_a_plan_of_an_earlier_version_is_made_anew(keep: Keep, tmp_path: Path, told: list[dict[str, Any]]) -> None:
    finish(tmp_path, "pretrain")
    (tmp_path / "plan.json").write_text('{"seconds": {}, "rate_flops": 1e9}')
    assert keep() == json.loads(json.dumps(make_plan(load("tiny", []), RATES[0]).to_json()))
    assert [one["kind"] for one in told] == ["plan_renewed"]
    assert "does not say" in told[0]["what"]


def test_the_workers_that_were_measured_keep_what_was_planned_of_them(keep: Keep, tmp_path: Path) -> None:
    sets = ("optim.kind=adamw", "pretrain.layout={tensor=2}", "pretrain.replicas=1")
    first = keep(*sets)
    finish(tmp_path, "pretrain", *sets)
    other = keep(*sets[:2], "pretrain.replicas=4")  # which sum fewer shards each, in fewer buffers
    assert other["workers"] == first["workers"]
    assert make_plan(load("tiny", [*sets[:2], "pretrain.replicas=4"]), None).workers != first["workers"]


def test_a_plan_names_its_config_down_to_fields_that_change_no_result() -> None:
    plan = make_plan(load("tiny", []), 1e10)
    assert plan == make_plan(load("tiny", []), 1e10)
    assert plan.config != make_plan(load("tiny", ["pretrain.replicas=4"]), 1e10).config
