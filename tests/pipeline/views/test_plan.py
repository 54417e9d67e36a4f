import json
import subprocess
import sys

import pytest

from models.schedule import whole_plan
from pipeline.pretrain import guard
from pipeline.recipes import load
from pipeline.stages import NAMES
from pipeline.views import costs
from pipeline.views.plan import compute_optimal, make_plan, measure_rate, print_plan


def test_the_plan_is_the_config_by_arithmetic() -> None:
    config = load("tiny", [])
    plan = make_plan(config, 5e10)
    assert plan.parameters == config.model.parameters()
    assert tuple(plan.seconds) == NAMES
    made = plan.tokens["pretrain"]
    assert config.pretrain.tokens <= made < config.pretrain.tokens + 3 * 16 * config.model.context
    scored = config.pretrain.curve_points * config.pretrain.curve_windows * config.model.context
    assert plan.flops["pretrain"] == pytest.approx((made + scored / 3) * config.model.flops_per_token())
    assert plan == make_plan(config, 5e10)


def test_steps_follow_the_batch_schedule() -> None:
    assert whole_plan(256 * 80, 256, ((0.0, 8),)).steps == 10
    assert whole_plan(256 * 80, 256, ((0.0, 8), (0.5, 16))).steps == 6 + 3


def test_the_search_halves_its_trials() -> None:
    sets = ["search.rungs=[1000, 3000, 9000]", "search.reduction=3"]
    config = load("tiny", sets)
    first = len(config.search.peak_lrs) * len(config.search.batches)
    second = -(-first // 3)
    assert costs.trials_by_rung(config) == [first, second, -(-second // 3)]
    planned = make_plan(config, 1e10).tokens["search"]
    assert planned == sum(n * t for n, t in zip(costs.trials_by_rung(config), config.search.rungs, strict=True))
    off = make_plan(load("tiny", [*sets, "search.enabled=false"]), 1e10)
    assert "search" not in off.flops
    assert off.seconds["search"] == 0


def test_twice_the_rate_takes_less_time_but_not_the_fixed_costs() -> None:
    config = load("tiny", [])
    slow, fast = make_plan(config, 1e10).seconds, make_plan(config, 2e10).seconds
    assert slow["pretrain"] / 2 < fast["pretrain"] < slow["pretrain"]
    assert fast["corpus"] == slow["corpus"]


def test_more_replicas_take_more_memory_and_change_no_flops() -> None:
    two, four = (make_plan(load("tiny", [f"pretrain.replicas={n}"]), 1e10) for n in (2, 4))
    assert four.flops == two.flops
    assert four.peaks["pretrain"] > two.peaks["pretrain"]
    assert two.memory_bytes == max(two.peaks.values())


def memory(*sets: str) -> dict[str, float]:
    return costs.replica_memory(load("tiny", ["pretrain.logical_shards=2", "pretrain.batch=[[0.0, 16]]", *sets]))


def test_a_replica_keeps_less_in_micro_batches_and_where_it_computes_again() -> None:
    off = "search.enabled=false"
    whole, cut = memory(off), memory(off, "pretrain.micro_batch=2")
    assert whole["activations"] == 4 * cut["activations"] and whole["logits"] == 4 * cut["logits"]
    assert memory(off, "pretrain.micro_batch=16") == whole  # a shard has eight
    assert memory(off, "pretrain.micro_batch=auto")["activations"] == whole["activations"] / 8
    again = memory(off, "pretrain.recompute=true")
    layers = load("tiny", []).model.layers
    assert whole["activations"] / layers < again["activations"] < whole["activations"]
    assert {k: v for k, v in again.items() if k != "activations"} == {
        k: v for k, v in whole.items() if k != "activations"
    }


def test_checkpoints_and_rollbacks_take_copies_of_the_state() -> None:
    calm, ring = memory(), memory("pretrain.guard.policy=rollback")
    state = calm["weights"] + calm["optimizer"]
    assert calm["checkpoint copy"] == state and "guard's states" not in calm
    assert ring["guard's states"] == guard.KEPT_STATES * state
    assert ring["checkpoint copy"] == 3 * state  # a checkpoint has the guard's states too


def test_a_plan_tells_what_each_worker_holds_and_sends(capsys: pytest.CaptureFixture[str]) -> None:
    sets = ["optim.kind=adamw", "search.enabled=false", "pretrain.layout={replicas=2,fsdp=2,tensor=2}"]
    plan = make_plan(load("tiny", sets), 1e10)
    assert [*plan.workers] == ["0", "1", "2", "3"]
    for sizes in plan.workers.values():
        parts = {name: size for name, size in sizes.items() if name not in ("memory", "sent a step")}
        assert sizes["memory"] == sum(parts.values()) and sizes["sent a step"] > 0
        assert sizes["checkpoint copy"] == sizes["weights"] + sizes["moments"]
    more = make_plan(load("tiny", [*sets, "pretrain.guard.policy=rollback"]), 1e10).workers["0"]
    assert more["memory"] - plan.workers["0"]["memory"] == 4 * more["checkpoint copy"] / 3
    less = make_plan(load("tiny", [*sets, "pretrain.recompute=true"]), 1e10).workers["0"]
    assert less["activations"] < plan.workers["0"]["activations"]
    print_plan(plan)
    shown = capsys.readouterr().out
    assert "Workers of a replica" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_an_unmeasured_rate_is_said_to_be_one() -> None:
    plan = make_plan(load("tiny", []), None)
    assert not plan.measured_rate
    assert "assumed, not measured" in plan.notes[0]


@pytest.mark.parametrize(
    ("flops", "parameters", "tokens"),
    [
        (1e18, 8.0532e7, 2.0696e9),
        (1e20, 8.5348e8, 1.9528e10),
        (1e22, 9.0452e9, 1.8426e11),
        (1e25, 3.1207e11, 5.3407e12),
    ],
)
def test_the_refit_of_arxiv_2404_10102(flops: float, parameters: float, tokens: float) -> None:
    found = compute_optimal(flops)
    assert found == pytest.approx((parameters, tokens), rel=1e-3)
    assert 6 * found[0] * found[1] == pytest.approx(flops)


def test_the_plan_is_kept_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    plan = make_plan(load("tiny", []), 5e10)
    kept = json.loads(json.dumps(plan.to_json()))
    assert {"parameters", "flops", "seconds", "memory_bytes", "tokens", "rate_flops"} <= set(kept)
    print_plan(plan)
    shown = capsys.readouterr().out
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "evaluate@pretrain" in shown


def test_the_probe_measures_and_leaves_the_threads_alone() -> None:
    import torch

    before = torch.get_num_threads()
    assert measure_rate(1) > 1e8
    assert torch.get_num_threads() == before


def test_planning_loads_no_torch() -> None:
    code = "import sys, pipeline.views.plan, pipeline.views.report; sys.exit(bool({'torch', 'ray'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
