"""A swap holds from its step on, whoever asks and wherever the run is resumed; what cannot be swapped is refused."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.errors import ConfigError, RunDirError
from cluster.storage import LocalStorage
from cluster.telemetry import Events
from models.checkpoint import digest
from models.config import GPTConfig
from models.gpt import GPT
from models.layout_config import Layout
from models.optim_config import OptimConfig
from models.schedule import BatchSchedule, Plan
from models.step import LocalExchange
from pipeline import recipes
from pipeline.pretrain import swap as live
from pipeline.pretrain.course import Course
from pipeline.pretrain.guard_config import GuardConfig
from pipeline.pretrain.loop import Trainee
from pipeline.pretrain.swap import ask, live_swaps, replan
from pipeline.pretrain.swap_config import SwapConfig, check_swaps
from pipeline.stage import StageFolder
from tests.models.fakes import in_threads
from tests.pipeline.pretrain.guarded import BATCH, SHAPE, GuardedTask, advance
from tests.support.context import context
from tests.support.resumed import resume, save

RATE = SwapConfig(at=12, set={"optim.peak_lr": 1e-3})
OPTIMISER = SwapConfig(at=0.5, set={"optim.kind": "lion", "optim.peak_lr": 1e-3})
ALL = (
    SwapConfig(at=8, set={"model.activation": "gelu", "model.dropout": 0.1}),
    OPTIMISER,
    SwapConfig(at=22, set={"batch": 16}),
)


def task(*swaps: SwapConfig, policy: Any = "off", steps: int = 30) -> GuardedTask:
    return GuardedTask(steps, swaps=swaps, guard=GuardConfig(policy=policy, back=4))


def test_a_rate_is_swapped_at_its_step() -> None:
    plain, swapped = advance(Trainee.new(task())), advance(Trainee.new(task(RATE)))
    for before, after in zip(plain.history, swapped.history, strict=True):
        assert after["lr"] == pytest.approx(before["lr"] * (0.1 if after["step"] >= 12 else 1.0))
    assert swapped.history[11]["swaps"][0]["set"] == {"optim.peak_lr": 1e-3}
    assert swapped.course.events == [{"kind": "swap", "step": 12, **swapped.history[11]["swaps"][0]}]


def test_a_batch_that_the_rest_does_not_fill_and_a_swap_that_never_came_are_told(tmp_path: Path) -> None:
    late, wide = SwapConfig(at=40, set={"batch": 16}), SwapConfig(at=28, set={"batch": 64})
    trainee = advance(Trainee.new(task(RATE, wide, late)))
    made = [swap for line in trainee.history for swap in line.get("swaps", ())]
    assert [(swap["name"], swap.get("unfilled", False)) for swap in made] == [("recipe/0", False), ("recipe/1", True)]
    assert trainee.step == 30
    folder = running(tmp_path, 3)
    folder.write_json("swaps/0000.json", {"at": 50.0, "set": {"batch": 8}})
    assert live.missed(folder, (RATE, wide, late), trainee.history) == {"recipe/2": 40.0, "swaps/0000.json": 50.0}


def test_activation_and_dropout_are_swapped_and_the_weights_stay() -> None:
    trainee = advance(Trainee.new(task(ALL[0])), 7)
    before, total = trainee.model, trainee.gradient(LocalExchange())
    plain = Trainee.new(task())
    plain.restore({name: tensor.clone() for name, tensor in trainee.state().items()}, trainee.facts())
    trainee.apply(total)
    plain.apply(total)
    assert trainee.model is not before
    assert isinstance(trainee.model, GPT)
    assert (trainee.model.config.activation, trainee.model.config.dropout) == ("gelu", 0.1)
    assert digest(trainee.state()) == digest(plain.state())  # weights and moments are those of a run without the swap
    assert trainee.gradient(LocalExchange()).ne(plain.gradient(LocalExchange())).any()
    assert trainee.task.facts()["config"]["activation"] == "gelu"


def test_an_optimiser_is_swapped_with_its_mean_and_a_batch_from_its_step_on() -> None:
    trainee = advance(Trainee.new(task(*ALL)))
    kinds = {name.split(".")[1] for name in trainee.state() if name.startswith("optim.")}
    assert kinds == {"exp_avg"}  # Lion's: Adam's squares are gone
    tokens = [line["tokens"] for line in trainee.history]
    sizes = {step: (tokens[step] - tokens[step - 1]) // 16 for step in range(1, len(tokens))}
    assert {size for step, size in sizes.items() if step < 22} == {BATCH}
    assert {size for step, size in sizes.items() if step >= 22} == {2 * BATCH}
    assert trainee.done and trainee.step == 22 + 4


def test_an_adaptive_optimiser_that_begins_anew_is_warmed_up() -> None:
    start = SwapConfig(at=4, set={"optim.kind": "lion"})
    back = SwapConfig(at=10, set={"optim.kind": "adamw", "optim.beta2": 0.8})
    swapped, plain = advance(Trainee.new(task(start, back))), advance(Trainee.new(task()))
    factors = [a["lr"] / b["lr"] for a, b in zip(swapped.history, plain.history, strict=True)]
    assert factors[:10] == [1.0] * 10
    assert factors[10:20] == pytest.approx([i / 10 for i in range(1, 11)])  # 2 / (1 - 0.8) steps
    assert factors[20:] == pytest.approx([1.0] * len(factors[20:]))


@pytest.mark.parametrize(
    ("values", "kept"),
    [({"optim.peak_lr": 1e-3, "optim.beta2": 0.9}, 12), ({"optim.kind": "lion"}, 0), ({"batch": 16}, 0)],
)
def test_a_guard_goes_on_where_losses_stay_comparable(values: dict[str, Any], kept: int) -> None:
    trainee = advance(Trainee.new(task(SwapConfig(at=12, set=values), policy="rollback")), 12)
    assert len(trainee.course.seen) == kept
    assert any(name.startswith("ring.") for name in trainee.state()) == bool(kept)


def test_a_named_rate_takes_the_place_of_what_the_guard_lowered() -> None:
    line = {"step": 3, "loss": 9.0, "grad_norm": 1.0, "skipped": "loss"}
    event = {"cause": "loss", "z": 9.0, "action": "lower", "batches": 0, "factor": 0.5}
    course = Course.of([{**line, "guard": event}], 8)
    assert course.rate() == 0.5
    swap = {"name": "recipe/0", "at": 4.0, "position": 4, "warmup": 0, "anew": False}
    course.swap({**swap, "set": {"optim.beta1": 0.8}})
    assert course.rate() == 0.5
    course.swap({**swap, "set": {"optim.peak_lr": 1e-3}})
    assert course.rate() == 1.0


def test_loaded_hyper_parameters_never_override_a_swap() -> None:
    """OPT's bug: a reloaded Adam brought its saved betas back over those that had been swapped in."""
    betas = SwapConfig(
        at=10, set={"optim.beta1": 0.5, "optim.beta2": 0.7, "optim.weight_decay": 0.3, "optim.eps": 1e-4}
    )
    before = advance(Trainee.new(task(betas)), 9)  # its state is of the old betas
    again = Trainee.new(task(betas))
    again.restore({name: tensor.clone() for name, tensor in before.state().items()}, before.facts())
    after = advance(Trainee.new(task(betas)), 20)  # and this one's of the new, as a restore must find them
    third = Trainee.new(task(betas))
    third.restore({name: tensor.clone() for name, tensor in after.state().items()}, after.facts())
    for trainee in (advance(again, 1), after, third):
        groups = trainee.optimizer.param_groups
        assert {group["betas"] for group in groups} == {(0.5, 0.7)}
        assert {group["eps"] for group in groups} == {1e-4}
        assert max(group["weight_decay"] for group in groups) == 0.3
    assert {group["betas"] for group in before.optimizer.param_groups} == {(0.9, 0.95)}
    assert not any("beta" in name or "lr" in name for name in before.state())


@pytest.mark.parametrize("policy", ["off", "rollback"])
def test_a_restored_run_replays_its_swaps(policy: str) -> None:
    whole, first = advance(Trainee.new(task(*ALL, policy=policy))), Trainee.new(task(*ALL, policy=policy))
    while not first.done:
        again = Trainee.new(task(*ALL, policy=policy))
        state = {name: tensor.clone() for name, tensor in first.state().items()}
        again.restore(state, json.loads(json.dumps(first.facts())))
        assert digest(advance(again).state()) == digest(whole.state()), first.step
        assert again.history == whole.history
        advance(first, 3)


def test_one_member_and_two_give_the_same_bits() -> None:
    def work(exchange: Any) -> str:
        trainee = Trainee.new(task(OPTIMISER, ALL[2]))  # no dropout: torch's generator is one of all threads
        while not trainee.done:
            trainee.apply(trainee.gradient(exchange))
        return digest(trainee.state())

    alone = work(LocalExchange())
    assert in_threads(2, work) == [alone, alone]


@settings(max_examples=30, deadline=None)
@given(st.integers(40, 400), st.integers(0, 90), st.sampled_from([2, 4, 8, 12, 32]))
def test_a_new_batch_leaves_what_lies_before(total: int, at: int, size: int) -> None:
    plan = Plan(total, BatchSchedule(((0.0, 4), (0.5, 8))))
    position = 1 + at % (plan.steps - 1)
    made = replan(plan, position, size)
    assert [made.step(i)[:2] for i in range(position)] == [plan.step(i)[:2] for i in range(position)]
    first = plan.step(position)[0]
    if total - first < size:
        assert made is plan
        return
    assert [made.step(i)[:2] for i in range(position, made.steps)] == [
        (first + i * size, size) for i in range((total - first) // size)
    ]


MODEL, OPTIM = SHAPE, OptimConfig(peak_lr=1e-3)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model.width": 64}, r"set\.model\.width = 64: cannot be swapped.*Take batch, model\.activation"),
        ({"model.activation": "swiglu"}, r"relu and swiglu differ in their weights.*Take one of gelu, gelu_tanh, relu"),
        ({"model.dropout": 1.5}, r"set\.model\.dropout = 1\.5"),
        ({"optim.kind": "adam"}, r"set\.optim\.kind = 'adam'"),
        ({"optim.gamma": 1.0}, r"set\.optim\.gamma = 1\.0: cannot be swapped"),
        ({"batch": 6}, r"set\.batch = 6: a batch is a multiple of pretrain\.logical_shards = 4"),
        ({"batch": True}, r"set\.batch = True"),
    ],
)
def test_what_cannot_be_swapped_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_swaps([SwapConfig(at=3, set=values)], MODEL, OPTIM, 4, Layout())


def test_each_swap_is_checked_after_those_before_it() -> None:
    gated = GPTConfig.model_validate({**MODEL.model_dump(), "activation": "swiglu"})
    check_swaps([SwapConfig(at=3, set={"model.activation": "geglu"}), *(RATE, OPTIMISER)], gated, OPTIM, 4, Layout())
    wide = [SwapConfig(at=3, set={"optim.warmup_fraction": 0.6, "optim.decay_fraction": 0.4})]
    check_swaps(wide, MODEL, OPTIM, 4, Layout())
    with pytest.raises(ConfigError, match="at most 1"):
        check_swaps([*wide, SwapConfig(at=4, set={"optim.decay_fraction": 0.5})], MODEL, OPTIM, 4, Layout())
    with pytest.raises(ConfigError, match="a step is a whole number"):
        SwapConfig(at=3.5, set={"batch": 4})


# A run that goes on


def running(run: Path, step: int) -> StageFolder:
    """The pretrain stage of a run whose one replica says where it is."""
    storage = LocalStorage(run)
    Events(storage, 1).add("stage_start", stage="pretrain", fingerprint="f")
    storage.put("pretrain/timing/replica-0.json", json.dumps({"step": step}).encode())
    return StageFolder.open(str(run), "pretrain", "f")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_S", 0.02)


CONFIG = recipes.load("tiny", [])


@pytest.mark.usefixtures("quick")
def test_a_swap_is_asked_for_while_a_run_goes_on_and_replayed(tmp_path: Path) -> None:
    folder = running(tmp_path, 3)
    key = ask(LocalStorage(tmp_path), CONFIG, 24, {"optim.kind": "lion", "optim.peak_lr": 1e-3})
    assert key == "pretrain/swaps/0000.json"
    swap = SwapConfig(at=24, set={"optim.kind": "lion", "optim.peak_lr": 1e-3})
    assert live_swaps(folder) == {"swaps/0000.json": swap}
    assert folder.pieces("swaps/") == ["swaps/0000.json"]  # so it is in the manifest's content
    folder.check("swaps/0000.json")

    first = advance(Trainee.new(task()), 4)
    first.look(folder)
    save(first, folder)
    advance(first)
    planned = advance(Trainee.new(task(swap)))
    assert digest(first.state()) == digest(planned.state())
    assert first.history[23]["swaps"][0]["name"] == "swaps/0000.json"
    again = Trainee.new(task())
    resume(again, folder)
    again.look(folder)
    assert digest(advance(again).state()) == digest(first.state())


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("at", [1, 103, 122])
def test_a_swap_that_a_replica_may_have_passed_is_refused(tmp_path: Path, at: int) -> None:
    running(tmp_path, 103)
    with pytest.raises(ConfigError, match=r"--at = \d+: the run is at step 103.*20 steps before it. Take 143 or later"):
        ask(LocalStorage(tmp_path), CONFIG, at, {"optim.peak_lr": 1e-3})
    assert ask(LocalStorage(tmp_path), CONFIG, 123, {"optim.peak_lr": 1e-3})


def test_the_margin_is_ten_seconds_of_a_fast_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running(tmp_path, 100)
    monkeypatch.setattr(live, "_pace", lambda folder: (150, 50.0))  # step, steps a second
    with pytest.raises(ConfigError, match=r"500 steps before it\. Take 1,150 or later"):
        ask(LocalStorage(tmp_path), CONFIG, 649, {"optim.peak_lr": 1e-3})
    assert ask(LocalStorage(tmp_path), CONFIG, 650, {"optim.peak_lr": 1e-3})


@pytest.mark.usefixtures("quick")
def test_two_who_ask_at_once_both_have_their_piece(tmp_path: Path) -> None:
    folder = running(tmp_path, 3)
    asked = [
        threading.Thread(target=ask, args=(LocalStorage(tmp_path), CONFIG, 50 + i, {"optim.peak_lr": 1e-3}))
        for i in range(6)
    ]
    for thread in asked:
        thread.start()
    for thread in asked:
        thread.join()
    assert sorted(swap.at for swap in live_swaps(folder).values()) == [50, 51, 52, 53, 54, 55]


@pytest.mark.usefixtures("quick")
def test_a_run_that_does_not_train_takes_no_swap(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="has not begun, or has ended"):
        ask(LocalStorage(tmp_path), CONFIG, 50, {"optim.peak_lr": 1e-3})
    folder = running(tmp_path, 3)
    with pytest.raises(ConfigError, match=r"swap\.set\.batch = 5"):
        ask(LocalStorage(tmp_path), CONFIG, 50, {"batch": 5})
    folder.storage.put("pretrain/manifest.json", json.dumps({"fingerprint": "f"}).encode())
    with pytest.raises(RunDirError, match="Give the swap in the recipe"):
        ask(LocalStorage(tmp_path), CONFIG, 50, {"optim.peak_lr": 1e-3})


def test_a_swap_of_another_fingerprint_does_not_exist(tmp_path: Path) -> None:
    running(tmp_path, 3).write_json("swaps/0000.json", {"at": 24.0, "set": {"batch": 8}})
    ctx, _ = context(str(tmp_path), "pretrain", fingerprint="other")
    assert live_swaps(ctx.folder) == {}


def test_the_verb_adds_a_swap(tmp_path: Path, quick: None) -> None:
    from typer.testing import CliRunner

    from pipeline.cli import app

    running(tmp_path, 3)
    import tomli_w

    text = tomli_w.dumps(CONFIG.model_dump(mode="json", exclude_none=True))
    LocalStorage(tmp_path).put("run.toml", text.encode())
    got = CliRunner().invoke(
        app, ["swap", str(tmp_path), "--at", "60", "--set", "optim.peak_lr=1e-4", "--set", "batch=16"]
    )
    assert got.exit_code == 0, got.exception
    assert got.stdout.strip() == "pretrain/swaps/0000.json"
    found = live_swaps(StageFolder.open(str(tmp_path), "pretrain", "f"))
    assert found["swaps/0000.json"] == SwapConfig(at=60, set={"optim.peak_lr": 1e-4, "batch": 16})


torch.set_num_threads(1)
