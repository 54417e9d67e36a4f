"""First weights: by seed and name, of the stated size, for every init; and the scales that go with them."""

import math
from typing import Any

import pytest
import torch

from models.config import GPTConfig
from models.gpt import GPT
from models.init import SCALES, first_weight, init_weights, parts_of, scale
from tests.models.fakes import tiny_config

INITS: dict[str, dict[str, Any]] = {
    "small": {},
    "gpt2": {},
    "xavier": {},
    "tfixup": {"norm": "none"},
    "mup": {"base_width": 64},
    "completep": {"base_width": 64, "base_layers": 1},
}


def shape(init: str, **changes: Any) -> GPTConfig:
    base = {"width": 128, "heads": 4, "hidden": 256, "vocab_size": 500, "init": init}
    return tiny_config(**base | INITS[init] | changes)


@pytest.mark.parametrize("init", INITS)
def test_a_weight_goes_by_seed_and_name(init: str) -> None:
    config = shape(init, bias=True)
    models = [GPT(config), GPT(config), GPT(config)]
    for model, seed in zip(models, (7, 7, 8), strict=True):
        torch.randn(5)  # the global generator plays no part
        init_weights(model, seed)
    ours, same, other = (model.state_dict() for model in models)
    name = "blocks.1.attention.qkv.weight"
    assert ours[name].equal(same[name])
    assert not ours[name].equal(other[name])
    assert not ours[name].equal(ours["blocks.0.attention.qkv.weight"])
    assert ours[name].equal(first_weight(config, name, tuple(ours[name].shape), 7))


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("experts", [{}, {"count": 3, "top_k": 2}])
def test_biases_are_zero_norms_one_and_matrices_neither(init: str, experts: dict[str, int]) -> None:
    model = GPT(shape(init, bias=True, tie_embeddings=False, experts=experts))
    init_weights(model, 0)
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            assert not weight.any(), name
        elif weight.ndim == 1:
            assert (weight == 1).all(), name
        else:
            assert 1e-3 < weight.std() < 1, name


@pytest.mark.parametrize("init", INITS)
def test_layers_do_not_change_each_others_bits(init: str) -> None:
    shallow, deep = GPT(shape(init, layers=2)), GPT(shape(init, layers=3))
    init_weights(shallow, 7)
    init_weights(deep, 7)
    a, b = (model.state_dict()["blocks.1.attention.qkv.weight"][:128] for model in (shallow, deep))
    assert a.equal(b)  # queries have the same std at each depth


def test_a_fused_matrix_says_its_parts() -> None:
    config = tiny_config(width=32, heads=4, kv_heads=2)
    assert parts_of(config, "blocks.0.attention.qkv.weight", (64, 32)) == (("query", 32), ("key", 16), ("value", 16))
    assert parts_of(config, "blocks.0.mlp.gate_up.weight", (3, 48, 32)) == (("gate", 24), ("up", 24))
    assert parts_of(config, "blocks.0.mlp.down.weight", (32, 24)) == (("all", 32),)


def test_a_part_of_a_stack_has_its_own_size() -> None:
    config = shape("xavier")
    drawn = first_weight(config, "blocks.0.mlp.gate_up.weight", (5, 512, 128), 0)
    assert drawn.std() == pytest.approx(math.sqrt(2 / (128 + 256)), rel=0.02)


@pytest.mark.parametrize("kind", ["small", "gpt2", "xavier"])
def test_plain_inits_scale_nothing(kind: str) -> None:
    for name in SCALES:
        assert scale(shape(kind), name, *(("x.weight", (2, 2)) if name[:3] in ("lr_", "dec", "eps") else ())) == 1.0
