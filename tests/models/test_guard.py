"""Spikes stand out of the steps before them, whatever the scale and however many of those were bad."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.guard import NORM_FLOOR, Spike, find_rise, find_spike, robust_z

BARS = {"loss_z": 8.0, "norm_z": 16.0}
CALM = [(3.0 + 0.05 * math.sin(i), 0.5 + 0.02 * math.cos(i)) for i in range(40)]


def test_z_of_a_normal_sample_counts_standard_deviations() -> None:
    sample = np.random.default_rng(1).normal(10.0, 2.0, 4001).tolist()
    assert robust_z(16.0, sample, 1e-9) == pytest.approx(3.0, rel=0.05)
    assert robust_z(4.0, sample, 1e-9) == pytest.approx(-3.0, rel=0.05)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(-1000, 1000), min_size=5, max_size=50, unique=True),
    st.integers(-2000, 2000),
    st.integers(-50, 50),
    st.integers(1, 9),
)
def test_z_knows_no_scale_and_no_origin(sample: list[int], value: int, shift: int, scale: int) -> None:
    moved = [scale * x + shift for x in sample]
    assert robust_z(scale * value + shift, moved, 1e-9) == pytest.approx(robust_z(value, sample, 1e-9))


def test_a_calm_step_is_none_and_what_falls_is_none() -> None:
    assert find_spike(3.1, 0.6, CALM, **BARS) is None
    assert find_spike(0.1, 1e-3, CALM, **BARS) is None
    assert find_spike(3.0, 0.0, CALM, **BARS) is None


def test_the_larger_of_two_spikes_gives_its_name() -> None:
    loss, norm = find_spike(6.0, 0.5, CALM, **BARS), find_spike(3.0, 500.0, CALM, **BARS)
    assert loss and norm
    assert (loss.cause, norm.cause) == ("loss", "gradient norm")
    both = find_spike(6.0, 1e9, CALM, **BARS)
    assert both and both.cause == "gradient norm"
    assert both.z == pytest.approx(math.log(2e9) / NORM_FLOOR, rel=0.01)


def test_spikes_in_the_window_do_not_hide_the_next() -> None:
    bad = [(9.0, 40.0)] * 15  # of 55: mean and standard deviation would see 9.0 as 1.6 deviations away
    found = find_spike(9.0, 0.5, CALM + bad, **BARS)
    assert found and found.z > 8


@pytest.mark.parametrize(("loss", "norm"), [(math.nan, 1.0), (1.0, math.inf), (math.inf, math.nan)])
def test_what_is_not_finite_needs_no_window(loss: float, norm: float) -> None:
    assert find_spike(loss, norm, (), **BARS) == Spike("gradient not finite", math.inf)
    assert find_spike(1e9, 1e9, (), **BARS) is None


def test_a_constant_loss_is_judged_by_the_floor() -> None:
    flat = [(2.0, 1.0)] * 20
    assert find_spike(2.15, 1.0, flat, **BARS) is None  # 7.5 hundredths of the median
    assert find_spike(2.17, 1.0, flat, **BARS) is not None


def test_a_slow_rise_is_found_where_no_step_stands_out() -> None:
    losses = [loss for loss, _ in CALM]
    rising = losses[:30] + [loss + 0.3 for loss in losses[30:]]
    assert find_spike(rising[-1], 0.5, CALM, **BARS) is None
    found = find_rise(rising, 2.5)
    assert found and found.cause == "loss rises"
    assert find_rise(losses, 2.5) is None
    assert find_rise(list(reversed(rising)), 2.5) is None
    assert find_rise(rising[-15:], 0.0) is None  # a quarter of three steps says nothing
