import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from models.config import RotaryConfig
from models.layers import rotate
from models.positions.rotary import Rotary, rates, sharpness, tables
from tests.models.fakes import tiny_config


def theirs(kind: str, width: int, base: float, length: int | None = None, **more: float) -> tuple[torch.Tensor, float]:
    parameters = {"rope_type": kind, "rope_theta": base, **more}
    config = LlamaConfig(
        hidden_size=4 * width, num_attention_heads=4, max_position_embeddings=4096, rope_parameters=parameters
    )
    found, factor = ROPE_INIT_FUNCTIONS[kind](config, torch.device("cpu"), seq_len=length)
    return found.double(), factor


@pytest.mark.parametrize("width", [8, 64, 128])
@pytest.mark.parametrize("base", [10000.0, 500000.0])
@pytest.mark.parametrize("factor", [1.0, 2.0, 8.0, 40.0])
def test_stretched_rates_are_those_of_transformers(width: int, base: float, factor: float) -> None:
    old = {"factor": factor, "original_max_position_embeddings": 2048}
    llama = {**old, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    # its dynamic kind at length L, with a factor of one, is ntk by L / 4096
    for name, (expected, size) in {
        "linear": theirs("linear", width, base, factor=factor),
        "yarn": theirs("yarn", width, base, **old),
        "llama3": theirs("llama3", width, base, **llama),
        "ntk": theirs("dynamic", width, base, round(4096 * factor), factor=1.0),
    }.items():
        rotary = RotaryConfig.model_validate(
            {"base": base, "scaling": name, "factor": factor, "original_context": 2048}
        )
        torch.testing.assert_close(rates(rotary, width), expected, rtol=2e-5, atol=0, msg=lambda m, n=name: f"{n}: {m}")
        assert sharpness(rotary) == pytest.approx(size, rel=1e-12)


def test_yarn_by_hand() -> None:
    """Width 4, base 10000, over 1000 places: the first pair makes 159 turns and stays, the second 1.59, between."""
    rotary = RotaryConfig(scaling="yarn", factor=10.0, original_context=1000)
    assert (rotary.low, rotary.high) == (1.0, 32.0)
    # pair(32) = 4 ln(1000 / 64 pi) / (2 ln 10000) = 0.35 -> 0; pair(1) = 1.10 -> 2: pair 1 is half way
    torch.testing.assert_close(rates(rotary, 4), torch.tensor([1.0, 0.5 * 0.01 + 0.5 * 0.001]).double())
    cos, _ = tables(rotary, 2, 4)
    assert float(cos[0, 0]) == pytest.approx(1 + 0.1 * math.log(10))


def test_a_factor_of_one_stretches_nothing() -> None:
    plain = rates(RotaryConfig(), 16)
    for kind in ("linear", "ntk", "yarn", "llama3"):
        rotary = RotaryConfig.model_validate({"scaling": kind, "original_context": 64})
        torch.testing.assert_close(rates(rotary, 16), plain)
        assert sharpness(rotary) == 1.0


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["ntk", "yarn", "llama3"]), st.floats(1.1, 64), st.sampled_from([4, 16, 128]))
def test_the_fastest_pair_stays_and_none_is_stretched_by_more_than_the_factor(
    kind: str, factor: float, width: int
) -> None:
    rotary = RotaryConfig.model_validate({"scaling": kind, "factor": factor, "original_context": 2048})
    stretch = rates(RotaryConfig(), width) / rates(rotary, width)
    assert float(stretch[0]) == pytest.approx(1.0)
    assert (stretch.diff() > -1e-9).all()
    assert float(stretch.max()) <= factor * (1 + 1e-9)


def test_a_rotation_is_complex_multiplication() -> None:
    cos, sin = tables(RotaryConfig(base=100.0), 16, 8)
    x = torch.randn(16, 8)
    angles = torch.arange(16)[:, None] * 100.0 ** (-torch.arange(4) / 4)
    expected = torch.complex(x[:, :4], x[:, 4:]) * torch.polar(torch.ones(16, 4), angles)
    torch.testing.assert_close(rotate(x, cos, sin), torch.cat((expected.real, expected.imag), -1))


def test_products_depend_on_the_distance_only() -> None:
    cos, sin = tables(RotaryConfig(), 64, 8)
    query, key = torch.randn(8), torch.randn(8)

    def product(at: int, other: int) -> torch.Tensor:
        return rotate(query, cos[at], sin[at]) @ rotate(key, cos[other], sin[other])

    torch.testing.assert_close(product(10, 3), product(50, 43))
    assert not torch.allclose(product(10, 3), product(50, 42))


def test_angles_of_given_places_are_those_of_the_rows() -> None:
    positions = Rotary(tiny_config())
    for row, picked in zip(positions.angles(slice(5)), positions.angles(torch.arange(5)[None]), strict=True):
        assert row.shape == (5, 1, 8)
        assert picked[0].equal(row)
    assert not list(positions.state_dict())
