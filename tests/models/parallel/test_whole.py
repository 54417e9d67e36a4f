"""The pieces of matrices that Muon turns: what is given is each number once, and everybody gets back what it holds."""

from math import prod
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.config import GPTConfig
from models.layout_config import Layout
from models.optim import make_optimizer
from models.optimizers import muon
from models.parallel.costs import memory, sizes
from models.parallel.cuts import shapes
from models.parallel.fill import skeleton
from models.parallel.whole import exchanged, is_turned, matrices
from tests.models.parallel.drawn import BASE, layouts
from tests.models.parallel.fakes import MUON

SHAPES: list[dict[str, Any]] = [
    {},
    {"bias": True, "activation": "gelu", "tie_embeddings": False},
    {"kv_heads": 2, "qk_norm": True, "positions": "learned"},
    {"experts": {"count": 4, "every": 2}, "bias": True},
    {"experts": {"count": 2}, "activation": "gelu", "hidden": 6},
]


def shape(number: int) -> GPTConfig:
    return GPTConfig.model_validate(BASE | SHAPES[number])


@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_matrices_are_those_of_the_optimiser(number: int) -> None:
    config = shape(number)
    groups = make_optimizer(skeleton(config), MUON).param_groups
    turned = {name for group in groups if group["kind"] == "muon" for name in group["names"]}
    assert turned == {name for name, whole in shapes(config).items() if is_turned(name, whole)}
    expected = [
        (name, tuple(piece.shape))
        for name, whole in shapes(config).items()
        for piece in (muon.matrices(name, torch.empty(whole)) if name in turned else [])
    ]
    assert [(matrix.name, matrix.shape[-2:]) for matrix in matrices(config, Layout(fsdp=2), 0)] == expected


@settings(max_examples=30, deadline=None)
@given(number=st.integers(0, len(SHAPES) - 1), data=st.data())
def test_each_number_is_given_once_and_comes_back(number: int, data: Any) -> None:
    config = shape(number)
    layout = data.draw(layouts(config))
    for pipeline in range(layout.pipeline):
        back = dict.fromkeys(range(layout.workers), 0)
        for matrix in matrices(config, layout, pipeline):
            met = torch.zeros(matrix.shape)
            for piece in matrix.pieces:
                met[piece.there] += piece.gives
                back[piece.worker] += prod(piece.shape)
                assert piece.shape == tuple(span.stop - span.start for span in piece.here)
            assert bool((met == 1).all()), matrix.name
            assert matrix.owner in {piece.worker for piece in matrix.pieces}
        for rank, numbers in back.items():
            held = sizes(config, layout, layout.seat(rank)) if layout.seat(rank).pipeline == pipeline else {}
            assert numbers == sum(h.share for name, h in held.items() if is_turned(name, shapes(config)[name]))


def test_owners_share_the_work_and_experts_stay_where_they_are() -> None:
    dense, sparse = shape(0), shape(3)
    sent = exchanged(dense, Layout(tensor=2), 0)
    turned = sum(prod(whole) for name, whole in shapes(dense).items() if is_turned(name, whole))
    assert sum(owned for _, owned in sent.values()) == turned
    assert [owned for _, owned in sent.values()] == pytest.approx([turned / 2] * 2, rel=0.1)
    assert sum(out for out, _ in sent.values()) == turned  # half of the pieces there, half of the wholes back
    held = memory(dense, Layout(tensor=2), Layout(tensor=2).seat(0), 8, "muon")
    assert held["gathered"] == 4 * 2 * (turned // 2 + sent[0][1])  # pieces and wholes, as they come and as they stand
    for matrix in matrices(sparse, Layout(fsdp=2, expert=2), 0):
        if len(matrix.shape) == 3:
            assert [piece.worker for piece in matrix.pieces] == [matrix.owner]
