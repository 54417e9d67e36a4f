"""Each init's standard deviations against its paper's formula."""

import math
from typing import Any

import pytest
from torch import Tensor

from models.config import GPTConfig
from models.init import first_weight
from tests.models.fakes import tiny_config

D, H, V, L = 128, 256, 500, 4


def shape(init: str, **changes: Any) -> GPTConfig:
    base = {"width": D, "heads": 4, "kv_heads": 2, "hidden": H, "vocab_size": V, "layers": L, "init": init}
    return tiny_config(**base | changes)


def drawn(config: GPTConfig, name: str, *size: int) -> Tensor:
    return first_weight(config, name, size, 3)


def near(tensor: Tensor, std: float) -> None:
    assert float(tensor.std()) == pytest.approx(std, rel=0.03)


@pytest.mark.parametrize("init", ["small", "gpt2", "xavier"])
def test_embeddings_have_the_stated_std(init: str) -> None:
    near(drawn(shape(init, init_std=0.05), "embedding.weight", V, D), 0.05)
    near(drawn(shape(init, init_std=0.05), "positions.weight", V, D), 0.05)


def test_small() -> None:
    config = shape("small")
    near(drawn(config, "blocks.0.attention.qkv.weight", 2 * D, D), math.sqrt(2 / (5 * D)))
    near(drawn(config, "blocks.0.mlp.down.weight", D, H), math.sqrt(2 / (5 * H)) / math.sqrt(2 * L))
    near(drawn(config, "blocks.0.mlp.down.weight", 3, D, H), math.sqrt(2 / (5 * H)) / math.sqrt(2 * L))
    near(drawn(config, "head.weight", V, D), math.sqrt(2 / (5 * D)))


def test_gpt2() -> None:
    config = shape("gpt2")
    near(drawn(config, "blocks.0.mlp.gate_up.weight", 2 * H, D), 0.02)
    near(drawn(config, "blocks.0.attention.out.weight", D, D), 0.02 / math.sqrt(2 * L))


def test_xavier_counts_each_part_of_a_fused_matrix() -> None:
    config = shape("xavier")
    query, key, value = drawn(config, "blocks.0.attention.qkv.weight", 2 * D, D).split([D, D // 2, D // 2])
    near(query, math.sqrt(2 / (D + D)))
    near(key, math.sqrt(2 / (D + D // 2)))
    near(value, math.sqrt(2 / (D + D // 2)))
    near(drawn(config, "blocks.0.mlp.down.weight", D, H), math.sqrt(2 / (H + D)))


def test_tfixup() -> None:
    config, factor = shape("tfixup", norm="none"), 0.67 * L**-0.25
    query, _, value = drawn(config, "blocks.0.attention.qkv.weight", 2 * D, D).split([D, D // 2, D // 2])
    near(query, math.sqrt(2 / (D + D)))
    near(value, factor * math.sqrt(2 / (D + D // 2)))
    near(drawn(config, "blocks.0.attention.out.weight", D, D), factor * math.sqrt(2 / (D + D)))
    near(drawn(config, "blocks.0.mlp.gate_up.weight", 2 * H, D), factor * math.sqrt(2 / (H + D)))
    near(drawn(config, "blocks.0.mlp.down.weight", D, H), factor * math.sqrt(2 / (H + D)))
    near(drawn(config, "embedding.weight", V, D), (9 * L) ** -0.25 * D**-0.5)
    near(drawn(config, "head.weight", V, D), D**-0.5)


def test_mup_is_small_at_its_base_width_and_shrinks_by_fan_in() -> None:
    base, wide = shape("mup", base_width=D), shape("mup", base_width=D // 4)
    for name, size in (("blocks.0.mlp.down.weight", (D, H)), ("head.weight", (V, D)), ("embedding.weight", (V, D))):
        assert drawn(base, name, *size).equal(drawn(shape("small"), name, *size))
    near(drawn(wide, "blocks.0.attention.qkv.weight", 2 * D, D), math.sqrt(2 / (5 * D)))
    near(drawn(wide, "head.weight", V, D), math.sqrt(2 / (5 * D // 4)))  # that of the base width
    near(drawn(wide, "blocks.0.mlp.router.weight", 8, D), math.sqrt(2 / (5 * D)) / 2)


def test_completep_draws_as_at_the_base_depth() -> None:
    deep = shape("completep", base_width=D, base_layers=L, layers=8 * L)
    name, size = "blocks.0.mlp.down.weight", (D, H)
    assert drawn(deep, name, *size).equal(drawn(shape("small"), name, *size))
