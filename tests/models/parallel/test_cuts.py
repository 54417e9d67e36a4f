"""What workers hold of each parameter, together, is each number once."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.config import GPTConfig
from models.gpt import GPT
from models.layout_config import Layout
from models.parallel.costs import in_flight, memory, sizes, traffic
from models.parallel.cuts import boxes, counts, cuts, data_rows, holds, shapes
from models.parallel.fill import taken
from models.parallel.pipeline import bubble
from tests.models.parallel.drawn import BASE, layouts

SHAPES: list[dict[str, Any]] = [
    {},
    {"bias": True, "norm": "layer", "positions": "learned", "activation": "gelu"},
    {"kv_heads": 2, "qk_norm": True, "tie_embeddings": False},
    {"experts": {"count": 4, "every": 2}, "bias": True},
    {"norm": "none"},
    {"placement": "post"},
    {"norm": "batch", "bias": True},
]


def shape(number: int) -> GPTConfig:
    return GPTConfig.model_validate(BASE | SHAPES[number])


@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_shapes_are_those_of_the_model(number: int) -> None:
    with torch.device("meta"):
        model = GPT(shape(number))
    found = shapes(shape(number))
    assert found == {name: tuple(weight.shape) for name, weight in model.named_parameters()}


@settings(max_examples=30, deadline=None)
@given(number=st.integers(0, len(SHAPES) - 1), data=st.data())
def test_the_workers_that_speak_hold_every_number_once(number: int, data: Any) -> None:
    config = shape(number)
    layout = data.draw(layouts(config))
    for name, whole in shapes(config).items():
        met = torch.zeros(whole)
        for rank in range(layout.workers):
            seat = layout.seat(rank)
            made = cuts(config, layout, seat, name, whole)
            numbers = taken(torch.arange(met.numel()).view(whole), made)
            first, length = data_rows(layout, seat, name, whole, len(numbers))
            own = numbers[first : first + length]
            if holds(config, layout, seat, name):
                assert own.numel() == sizes(config, layout, seat)[name].share
                if counts(config, layout, seat, name):
                    met.view(-1)[own.flatten()] += 1
        assert bool((met == 1).all()), name


def test_fused_matrices_are_cut_part_by_part() -> None:
    config, layout = shape(2), Layout(tensor=2)  # 4 heads of queries, 2 of keys, 2 of values, 4 channels each
    second = layout.seat(1)
    assert cuts(config, layout, second, "blocks.0.attention.qkv.weight", (32, 16))[0].spans == (
        (8, 8),
        (20, 4),
        (28, 4),
    )
    assert cuts(config, layout, second, "blocks.0.mlp.gate_up.weight", (48, 16))[0].spans == ((12, 12), (36, 12))
    places = list(boxes((32, 16), cuts(config, layout, second, "blocks.0.attention.qkv.weight", (32, 16))))
    assert [here[0] for _, here in places] == [slice(0, 8), slice(8, 12), slice(12, 16)]


def test_a_pipeline_loses_what_the_formula_says() -> None:
    assert bubble(Layout()) == 0
    assert bubble(Layout(pipeline=4, micro_batches=8)) == pytest.approx(3 / 11)
    layout = Layout(pipeline=4, micro_batches=8, schedule="interleaved", interleave=2)
    assert bubble(layout) == pytest.approx(3 / 19)


def test_costs_fall_with_the_workers_as_they_should() -> None:
    config = shape(0)
    alone, zero = Layout(), Layout().seat(0)
    whole = memory(config, alone, zero, 8)
    assert whole["weights"] == 4 * config.parameters()
    assert whole["moments"] == 2 * whole["weights"]
    assert memory(config, alone, zero, 8, "lion")["moments"] == whole["weights"]
    assert sum(traffic(config, alone, zero, 8, 4).values()) == 0
    several = Layout(fsdp=2)
    assert memory(config, several, zero, 8)["weights"] == pytest.approx(whole["weights"] / 2, rel=0.01)
    assert memory(config, several, zero, 8)["activations"] == pytest.approx(whole["activations"] / 2, rel=0.02)
    assert traffic(config, Layout(replicas=4), zero, 8, 4)["replicas"] == 1.5 * whole["weights"]
    gpipe = Layout(pipeline=2, micro_batches=8, schedule="gpipe")
    assert [in_flight(x, zero) for x in (gpipe, Layout(pipeline=2, micro_batches=8))] == [8, 2]
