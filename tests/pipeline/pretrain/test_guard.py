"""A run that meets poison, or has a rate that is too high, heals itself; the same bits for any members and resumes."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cluster.errors import ConfigError
from models.checkpoint import digest
from models.step import TAIL, LocalExchange, StepFacts
from pipeline.pretrain.course import Course, guard_events
from pipeline.pretrain.guard import Diverged, Ring, judge
from pipeline.pretrain.guard_config import GuardConfig, Policy
from pipeline.pretrain.loop import Trainee
from tests.models.fakes import in_threads
from tests.pipeline.pretrain.guarded import GuardedTask, advance, heldout
from tests.support.context import context
from tests.support.resumed import resume, save

POISON = range(90, 98)
SHORT = {"window": 24, "warmup": 12}
POLICIES: tuple[Policy, ...] = ("skip", "lower", "rollback", "rollback+lower")


def trained(task: GuardedTask) -> Trainee:
    torch.set_num_threads(1)
    return advance(Trainee.new(task))


@pytest.fixture(scope="module")
def clean() -> Trainee:
    return trained(GuardedTask(360, guard=GuardConfig(policy="off")))


def small(policy: Policy, steps: int = 50) -> GuardedTask:
    """Poison at the twentieth batch, met by a guard that is ready for it."""
    guard = GuardConfig(
        policy=policy, window=12, warmup=8, loss_z=3.5, norm_z=6.0, rise_z=9.0, back=4, batches=3, patience=12
    )
    return GuardedTask(steps, poison=(30, 31, 32), guard=guard)


def test_a_clean_run_is_left_alone(clean: Trainee) -> None:
    guarded = trained(GuardedTask(360))
    assert guarded.history == clean.history
    assert digest(guarded.model.state_dict()) == digest(clean.model.state_dict())


@pytest.mark.parametrize(
    "guard",
    [
        GuardConfig(policy="skip", window=24, warmup=12),
        GuardConfig(policy="rollback", back=10, batches=8, window=24, warmup=12, rise_z=6.0),
    ],
    ids=["skip", "rollback"],
)
def test_a_poisoned_stretch_leaves_no_mark(clean: Trainee, guard: GuardConfig) -> None:
    healed = trained(GuardedTask(360, poison=POISON, guard=guard))
    events = guard_events(healed.history)
    assert events
    assert all(event["step"] >= POISON.start and event["cause"] == "loss" for event in events)
    assert heldout(healed.model) <= 1.01 * heldout(clean.model)
    met = [line.get("position", line["step"]) for line in healed.history if "skipped" not in line]
    assert not set(met) & set(POISON)  # no bad batch was learnt from


def test_a_rate_that_is_too_high_is_lowered(clean: Trainee) -> None:
    """A hundred times too high: left alone it ends at more than twice the loss."""
    config = {"window": 32, "warmup": 8, "rise_z": 3.0, "back": 60, "batches": 0, "factor": 0.02}
    wild = trained(GuardedTask(360, peak_lr=1.0, guard=GuardConfig(policy="off")))
    assert heldout(wild.model) > 2 * heldout(clean.model)
    guard = GuardConfig.model_validate({"policy": "rollback+lower", **config})
    healed = trained(GuardedTask(360, peak_lr=1.0, guard=guard))
    assert guard_events(healed.history)
    assert heldout(healed.model) <= 1.01 * heldout(clean.model)


@pytest.mark.parametrize("policy", POLICIES)
def test_one_member_and_two_give_the_same_bits(policy: Policy) -> None:
    def work(exchange: object) -> tuple[str, list[dict[str, object]]]:
        trainee = Trainee.new(small(policy))
        while not trainee.done:
            trainee.apply(trainee.gradient(exchange))
        return digest(trainee.state()), trainee.history

    alone = work(LocalExchange())
    assert any("guard" in line for line in alone[1])
    assert in_threads(2, work) == [alone, alone]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_restored_run_at_any_step_around_the_event_ends_with_the_same_bits(policy: Policy) -> None:
    whole, first = trained(small(policy, 40)), advance(Trainee.new(small(policy, 40)), 27)
    for step in range(28, 36):
        advance(first, 1)
        again = Trainee.new(small(policy, 40))
        state = {name: tensor.clone() for name, tensor in first.state().items()}
        again.restore(state, json.loads(json.dumps(first.facts())))
        assert (again.step, again.position, again.done) == (first.step, first.position, first.done)
        advance(again)
        assert again.history == whole.history, step
        assert digest(again.state()) == digest(whole.state()), step


def test_a_resume_from_disk_right_after_a_rollback(tmp_path: Path) -> None:
    whole, first = trained(small("rollback", 40)), advance(Trainee.new(small("rollback", 40)), 31)
    ctx, _ = context(str(tmp_path), "pretrain")
    save(first, ctx.folder)
    again = Trainee.new(small("rollback", 40))
    resume(again, ctx.folder)
    assert digest(advance(again).state()) == digest(whole.state())


def test_a_newcomer_can_go_back_too() -> None:
    """What a peer sends holds the states that a rollback needs, though the newcomer never was there."""
    first = advance(Trainee.new(small("rollback")), 30)
    newcomer = Trainee.new(small("rollback"))
    newcomer.restore({name: tensor.clone() for name, tensor in first.state().items()}, first.facts())
    advance(first, 1)
    advance(newcomer, 1)
    assert first.history[-1]["guard"]["to"] == 24
    assert digest(newcomer.state()) == digest(first.state())


def test_a_rollback_brings_back_the_state_and_passes_over_batches() -> None:
    trainee = advance(Trainee.new(small("rollback")), 24)
    before = digest(trainee.model.state_dict())
    advance(trainee, 7)
    line = trainee.history[30]
    assert line["guard"] == {**line["guard"], "to": 24, "batches": 3, "action": "rollback", "factor": 1.0}
    assert digest(trainee.model.state_dict()) == before
    assert (trainee.step, trainee.position) == (31, 34)
    assert line["tokens"] == trainee.task.tokens(34)
    advance(trainee)
    assert trainee.step == 47  # the run is shorter by what was passed over
    assert [entry["step"] for entry in trainee.history] == list(range(47))
    assert trainee.history[-1]["position"] == 49


def test_lower_multiplies_the_rate_from_there_on() -> None:
    lowered, calm = advance(Trainee.new(small("lower"))), advance(Trainee.new(small("off")))
    events = {event["step"] for event in guard_events(lowered.history)}
    factor = 1.0
    for line, other in zip(lowered.history, calm.history, strict=True):
        assert line["lr"] == pytest.approx(factor * other["lr"])
        factor *= 0.5 if line["step"] in events else 1.0
    assert factor < 1.0


def test_only_rollback_costs_memory() -> None:
    names = {policy: advance(Trainee.new(small(policy)), 9).state() for policy in POLICIES}
    assert not any(name.startswith("ring.") for name in names["skip"])
    assert not any(name.startswith("ring.") for name in names["lower"])
    steps = {name.split(".")[1] for name in names["rollback"] if name.startswith("ring.")}
    assert steps == {"4", "8"}
    ring = [name for name in names["rollback"] if name.startswith("ring.8.")]
    assert len(ring) == len(names["skip"])


def test_the_older_state_of_the_ring_is_once_to_twice_as_old() -> None:
    ring = Ring(5)
    for step in range(40):
        ring.offer(step, lambda step=step: {"x": torch.tensor(float(step))})  # type: ignore[misc]
        copy = Ring(5)
        copy.restore(ring.tensors())
        to, state = copy.back()
        assert float(state["x"]) == to
        assert to == 0 if step < 10 else 5 <= step - to < 10


@pytest.mark.parametrize("policy", ["off", *POLICIES])
def test_a_gradient_that_is_not_finite_is_never_made(policy: Policy) -> None:
    trainee = advance(Trainee.new(small(policy)), 2)
    before = digest(trainee.model.state_dict())
    total = trainee.gradient(LocalExchange())
    total[0] = math.nan
    assert not trainee.apply(total).applied
    line = trainee.history[-1]
    assert line["skipped"] == "gradient not finite"
    assert ("guard" in line) == (policy != "off")
    assert trainee.step == 3
    if "rollback" not in policy:
        assert digest(trainee.model.state_dict()) == before


def test_a_step_that_counted_nothing_is_no_event() -> None:
    trainee = advance(Trainee.new(small("skip")), 2)
    total = trainee.gradient(LocalExchange())
    total[-TAIL + 1] = 0.0
    assert not trainee.apply(total).applied
    assert trainee.history[-1]["skipped"] == "nothing counted"
    assert guard_events(trainee.history) == []


def test_patience_ends_a_run_that_has_no_sense_with_step_loss_z_and_remedy() -> None:
    guard = GuardConfig(patience=4, **SHORT)
    trainee = Trainee.new(GuardedTask(200, poison=range(60, 200), guard=guard))
    with pytest.raises(Diverged, match=r"patience = 4: step 63 is spike 4 .*loss \d.*z \d.*Lower optim\.peak_lr"):
        advance(trainee)
    assert trainee.step == 63


def test_events_of_another_window_are_forgiven() -> None:
    course = Course(16)
    config = GuardConfig(patience=2, window=16, warmup=4)
    bad = StepFacts(math.nan, math.nan, 1.0, applied=False)
    for step in range(60):
        line: dict[str, object] = {"step": step, "loss": 1.0, "grad_norm": 1.0}
        if step % 20 == 19:
            event = judge(config, course, bad, 100)
            assert event
            line |= {"skipped": event["cause"], "guard": event}
        course.see(line)
    assert len(course.events) == 3
    course.see({"step": 60, "loss": 1.0, "grad_norm": 1.0})
    with pytest.raises(Diverged, match="step 61 is spike 2 within 16"):
        judge(config, course, bad, 100)


@pytest.mark.parametrize(("policy", "action"), [("rollback", "skip"), ("rollback+lower", "lower")])
def test_near_the_end_an_update_is_left_out_and_nothing_taken_back(policy: Policy, action: str) -> None:
    """A rollback would pass over what is left of the plan, and end with weights whose rate never fell."""
    guard = GuardConfig(policy=policy, back=20, batches=20, **SHORT)
    trainee = advance(Trainee.new(GuardedTask(poison=(118,), guard=guard)))
    assert [(e["step"], e["action"], e["batches"]) for e in trainee.course.events] == [(118, action, 0)]
    assert trainee.step == 120
    calm = advance(Trainee.new(GuardedTask(guard=GuardConfig(policy="off"))))
    assert heldout(trainee.model) <= 1.01 * heldout(calm.model)


def test_a_rise_near_the_end_blames_no_step_where_nothing_can_be_taken_back() -> None:
    course = Course(64)
    for step in range(64):
        course.see({"step": step, "loss": 1.0 + 0.05 * max(0, step - 44), "grad_norm": 1.0})
    calm = StepFacts(2.0, 1.0, 1.0)
    for policy, left, action in (
        ("rollback", 100, "rollback"),
        ("rollback", 30, None),
        ("rollback+lower", 30, "lower"),
    ):
        event = judge(GuardConfig(policy=policy, loss_z=1e9), course, calm, left)
        assert (event and event["action"]) == action


@pytest.mark.parametrize("steps", [40, 120, 300])
def test_a_run_that_never_has_a_finite_gradient_does_not_end_as_done(steps: int) -> None:
    class Infinite(GuardedTask):
        def loss(self, model: nn.Module, batch: Tensor) -> tuple[Tensor, Tensor]:
            total, weight = super().loss(model, batch)
            return total * math.inf, weight

    with pytest.raises(Diverged):
        advance(Trainee.new(Infinite(steps, guard=GuardConfig(policy="rollback"))))


@pytest.mark.parametrize("field", ["warmup", "patience"])
def test_a_guard_that_cannot_work_is_refused(field: str) -> None:
    with pytest.raises(ConfigError, match=rf"pretrain.guard.{field} = 65: at most pretrain.guard.window = 64"):
        GuardConfig(**{field: 65})
