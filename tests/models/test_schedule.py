from itertools import pairwise
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.optim_config import Schedule
from models.schedule import BatchSchedule, ContextSchedule, Plan, lr_at, rows_of, whole_plan
from tests.models.fakes import tiny_optim

NAMES = get_args(Schedule)


def test_lr_at_the_edges() -> None:
    config = tiny_optim(peak_lr=2.0, warmup_fraction=0.1, decay_fraction=0.4, final_lr_fraction=0.25)
    for fraction, lr in ((0, 0.0), (0.05, 1.0), (0.1, 2.0), (0.6, 2.0), (0.8, 1.25), (1.0, 0.5), (1.5, 0.5)):
        assert lr_at(fraction, config) == pytest.approx(lr), fraction


def test_lr_without_warmup_or_decay_is_flat() -> None:
    config = tiny_optim(peak_lr=2.0, warmup_fraction=0.0, decay_fraction=0.0)
    assert [lr_at(fraction, config) for fraction in (0.0, 0.5, 1.0, 1.5)] == [2.0, 2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("schedule", "changes", "rates"),  # at 0.2 (end of the warmup), 0.4, 0.6, 0.8 and 1
    [
        ("constant", {}, (1, 1, 1, 1, 1)),
        ("linear", {}, (1, 0.8, 0.6, 0.4, 0.2)),
        ("cosine", {}, (1, 0.882843, 0.6, 0.317157, 0.2)),
        ("exponential", {}, (1, 0.2**0.25, 0.2**0.5, 0.2**0.75, 0.2)),
        ("inverse_sqrt", {}, (1, 0.5**0.5, 3**-0.5, 0.5, 0.2**0.5)),
        ("step", {"step_fractions": (0.4, 0.9), "step_factor": 0.5}, (1, 0.5, 0.5, 0.5, 0.25)),
        ("wsd", {}, (1, 1, 1, 0.6, 0.2)),
        ("wsd", {"decay_shape": "sqrt"}, (1, 1, 1, 1 - 0.8 * 0.5**0.5, 0.2)),
        ("wsd", {"decay_shape": "cosine", "decay_fraction": 0.8}, (1, 0.882843, 0.6, 0.317157, 0.2)),
    ],
)
def test_courses_by_hand(schedule: str, changes: dict[str, Any], rates: tuple[float, ...]) -> None:
    shape = {"warmup_fraction": 0.2, "decay_fraction": 0.4, "final_lr_fraction": 0.2}
    config = tiny_optim(peak_lr=1.0, schedule=schedule, **(shape | changes))
    assert [lr_at(fraction, config) for fraction in (0.2, 0.4, 0.6, 0.8, 1.0)] == pytest.approx(rates)
    assert lr_at(0.1, config) == pytest.approx(0.5)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(NAMES),
    st.floats(0.01, 0.3),
    st.floats(0.0, 0.7),
    st.floats(0.01, 1.0),
    st.sampled_from(["linear", "cosine", "sqrt"]),
)
def test_rates_rise_in_the_warmup_and_never_after(
    schedule: str, warmup: float, decay: float, final: float, shape: str
) -> None:
    config = tiny_optim(
        peak_lr=3.0,
        schedule=schedule,
        warmup_fraction=warmup,
        decay_fraction=decay,
        final_lr_fraction=final,
        decay_shape=shape,
    )
    up = [lr_at(warmup * i / 20, config) for i in range(21)]
    down = [lr_at(warmup + (1 - warmup) * i / 50, config) for i in range(51)]
    assert up[0] == 0.0
    assert up == sorted(up)
    assert up[-1] == pytest.approx(3.0) == down[0]
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in pairwise(down))
    assert down[-1] > 0
    if schedule in ("linear", "cosine", "exponential") or (schedule == "wsd" and decay > 0.01):
        assert down[-1] == pytest.approx(3.0 * final)
    assert lr_at(2.0, config) == lr_at(1.0, config)


@pytest.mark.parametrize("schedule", NAMES)
def test_a_warmup_may_fill_the_run(schedule: str) -> None:
    changes: dict[str, Any] = {"step_fractions": ()} if schedule == "step" else {"decay_fraction": 0.0}
    config = tiny_optim(peak_lr=1.0, schedule=schedule, warmup_fraction=0.99, **changes)
    assert lr_at(0.495, config) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"schedule": "wsd", "warmup_fraction": 0.6, "decay_fraction": 0.6}, "warmup_fraction"),
        ({"schedule": "inverse_sqrt", "warmup_fraction": 0.0}, "warmup_fraction 0"),
        ({"schedule": "exponential", "final_lr_fraction": 0.0}, "final_lr_fraction 0"),
        ({"schedule": "step", "step_fractions": (0.7, 0.5)}, "step_fractions"),
        ({"schedule": "step", "step_fractions": (0.5, 1.0)}, "step_fractions"),
    ],
)
def test_courses_that_cannot_be_are_refused(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        tiny_optim(**changes)


@pytest.mark.parametrize(
    ("total", "stages"),
    [
        (100, ((0.0, 8),)),
        (96, ((0.0, 8),)),
        (1000, ((0.0, 4), (0.1, 8), (0.5, 16))),
        (10, ((0.0, 7), (0.1, 3), (0.2, 2))),  # a stage that its predecessor has run over
        (1, ((0.0, 8), (0.5, 16))),
    ],
)
def test_steps_are_those_of_a_walk(total: int, stages: tuple[tuple[float, int], ...]) -> None:
    plan = Plan(total, BatchSchedule(stages))
    first, walked = 0, []
    while first < total:
        size = [size for start, size in stages if first >= round(start * total)][-1]
        count = min(size, total - first)
        walked.append((first, count, (first + count / 2) / total))
        first += count
    assert [plan.step(index) for index in range(plan.steps)] == walked
    with pytest.raises(IndexError):
        plan.step(plan.steps)


@pytest.mark.parametrize("stages", [(), ((0.1, 8),), ((0.0, 8), (0.0, 4)), ((0.0, 8), (1.0, 4)), ((0.0, 0),)])
def test_wrong_stages_are_refused(stages: tuple[tuple[float, int], ...]) -> None:
    with pytest.raises(ValueError, match="batch stage"):
        BatchSchedule(stages)


@pytest.mark.parametrize("tokens", [1, 100, 1000, 12_345, 99_999])
@pytest.mark.parametrize("stages", [((0.0, 4),), ((0.0, 4), (0.5, 8)), ((0.0, 4), (0.3, 8), (0.6, 16))])
def test_a_whole_plan_has_no_short_step(tokens: int, stages: tuple[tuple[float, int], ...]) -> None:
    plan = whole_plan(tokens, 16, stages)
    assert plan.total_sequences * 16 >= tokens
    sizes = {size for _, size in stages}
    assert {plan.step(i)[1] for i in range(plan.steps)} <= sizes
    assert plan.total_sequences <= max(-(-tokens // 16), 4) + 3 * stages[-1][1]


# Length of the rows


def test_the_context_goes_up_by_stages() -> None:
    ramp = ContextSchedule(64, ((0.0, 8), (0.25, 32), (0.5, 64)))
    assert [ramp.at(f) for f in (0.0, 0.249, 0.25, 0.4, 0.5, 1.0)] == [8, 8, 32, 32, 64, 64]
    assert ContextSchedule(64).at(0.3) == 64


@pytest.mark.parametrize(
    "stages", [((0.1, 8),), ((0.0, 8), (0.0, 16)), ((0.0, 8), (1.0, 16)), ((0.0, 24),), ((0.0, 128),), ((0.0, 1),)]
)
def test_a_ramp_that_does_not_cut_windows_into_whole_rows_is_refused(stages: tuple[tuple[float, int], ...]) -> None:
    with pytest.raises(ValueError, match="context stage"):
        ContextSchedule(64, stages)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 8))
def test_rows_predict_each_token_of_a_window_once(windows: int, rows: int, context: int) -> None:
    T = rows * context
    batch = torch.arange(windows * (T + 1)).view(windows, T + 1)
    cut = rows_of(batch, context)
    assert cut.shape == (windows * rows, context + 1)
    assert torch.equal(cut[:, 1:].reshape(windows, T), batch[:, 1:])
    assert torch.equal(cut[:, :-1].reshape(windows, T), batch[:, :-1])
    assert torch.equal(rows_of(batch, T), batch)
