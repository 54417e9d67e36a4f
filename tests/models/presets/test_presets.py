"""The published figures, exactly where they are published exactly, and within rounding where they are rounded."""

import importlib
import itertools
import pkgutil
from types import ModuleType
from typing import Any

import pytest

import models.presets
from models.config import GPTConfig
from models.optim_config import OptimConfig
from models.parts import part
from models.schedule import whole_plan

FAMILIES: list[ModuleType] = [part("presets", found.name) for found in pkgutil.iter_modules(models.presets.__path__)]
SHAPES: dict[str, dict[str, Any]] = {name: shape for family in FAMILIES for name, shape in family.shapes().items()}
TRAINING: dict[str, dict[str, Any]] = {name: family.training(name) for family in FAMILIES for name in family.shapes()}


def shape(name: str, **changes: Any) -> GPTConfig:
    return GPTConfig.model_validate(SHAPES[name] | changes)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("gpt2-124m", 124_439_808),
        ("gpt2-355m", 354_823_168),
        ("gpt2-774m", 774_030_080),
        ("gpt2-1.5b", 1_557_611_200),
        # the released OPT-125m has 125,239,296: two more rows of positions, which no token uses
        ("opt-125m", 125_239_296 - 2 * 768),
        ("llama-2-7b", 6_738_415_616),
        ("llama-2-13b", 13_015_864_320),
        ("llama-2-70b", 68_976_648_192),
        ("llama-3-8b", 8_030_261_248),
        ("llama-3-70b", 70_553_706_496),
        ("llama-3-405b", 405_853_388_800),
        ("mistral-7b", 7_241_732_096),
        ("mixtral-8x7b", 46_702_792_704),
    ],
)
def test_parameters_are_the_published_ones(name: str, parameters: int) -> None:
    assert shape(name).parameters() == parameters


def test_nano_gpt_without_biases() -> None:
    assert shape("gpt2-124m", bias=False).parameters() == 124_337_664


def test_a_token_meets_two_of_eight_experts() -> None:
    small, large = shape("mixtral-8x7b"), shape("mixtral-8x22b")
    assert small.active_parameters() == 12_879_925_248
    assert round(small.parameters() / 1e9, 1) == 46.7 and round(small.active_parameters() / 1e9, 1) == 12.9
    assert round(large.parameters() / 1e9) == 141 and round(large.active_parameters() / 1e9) == 39
    dense = shape("mistral-7b")
    assert dense.active_parameters() == dense.parameters()


def test_flops_of_gpt2() -> None:
    config = shape("gpt2-124m")
    assert config.flops_per_token() * 1024 / 3 == 291_648_307_200  # forward
    # PaLM's 6 N + 12 L H Q T, N all parameters without biases and positions: 1.0001 of the exact count
    weights = shape("gpt2-124m", bias=False).parameters() - 1024 * 768
    palm = (6 * weights + 12 * 12 * 12 * 64 * 1024) * 1024
    assert palm == 875_062_886_400
    assert palm / (config.flops_per_token() * 1024) == pytest.approx(1.0001, abs=5e-5)


def test_flops_of_llama_3_405b() -> None:
    assert 6 * shape("llama-3-405b").parameters() * 15.6e12 == pytest.approx(3.80e25, rel=1e-3)


# arXiv 2005.14165, Table 2.1: layers, width, heads, width of a head, tokens a step, rate, rounded size. The table's 24
# heads of 1.3b and its width 5140 of 13b do not multiply out to heads x head width: see CARD.
M = 1_048_576
GPT3 = {
    "gpt3-125m": (12, 768, 12, 64, 0.5 * M, 6e-4, 125e6),
    "gpt3-350m": (24, 1024, 16, 64, 0.5 * M, 3e-4, 350e6),
    "gpt3-760m": (24, 1536, 16, 96, 0.5 * M, 2.5e-4, 760e6),
    "gpt3-1.3b": (24, 2048, 16, 128, 1 * M, 2e-4, 1.3e9),
    "gpt3-2.7b": (32, 2560, 32, 80, 1 * M, 1.6e-4, 2.7e9),
    "gpt3-6.7b": (32, 4096, 32, 128, 2 * M, 1.2e-4, 6.7e9),
    "gpt3-13b": (40, 5120, 40, 128, 2 * M, 1e-4, 13e9),
    "gpt3-175b": (96, 12288, 96, 128, 3.2e6, 0.6e-4, 175e9),
}
# arXiv 2205.01068, Table 1: layers, heads, width, rate, tokens a step
OPT = {
    "opt-125m": (12, 12, 768, 6e-4, 0.5 * M),
    "opt-350m": (24, 16, 1024, 3e-4, 0.5 * M),
    "opt-1.3b": (24, 32, 2048, 2e-4, 1 * M),
    "opt-2.7b": (32, 32, 2560, 1.6e-4, 1 * M),
    "opt-6.7b": (32, 32, 4096, 1.2e-4, 2 * M),
    "opt-13b": (40, 40, 5120, 1e-4, 4 * M),
    "opt-30b": (48, 56, 7168, 1e-4, 4 * M),
    "opt-66b": (64, 72, 9216, 0.8e-4, 2 * M),
    "opt-175b": (96, 96, 12288, 1.2e-4, 2 * M),
}


def test_gpt3_is_its_table() -> None:
    assert set(GPT3) == {name for name in SHAPES if name.startswith("gpt3-")}
    for name, (layers, width, heads, head, tokens, rate, rounded) in GPT3.items():
        config, training = shape(name), TRAINING[name]
        assert (config.layers, config.width, config.heads, config.head_width) == (layers, width, heads, head)
        assert (config.hidden, config.context) == (4 * width, 2048)
        assert config.parameters() == pytest.approx(rounded, rel=0.02)
        stages = training["pretrain"]["batch"]
        assert stages[0][1] * 2048 == 32_768  # the ramp begins at 32 thousand tokens and ends within 4 to 12 billion
        assert 4e9 <= stages[-1][0] * 300e9 <= 12e9
        assert stages[-1][1] * 2048 == pytest.approx(tokens, rel=0.01)
        optim = training["optim"]
        assert (optim["peak_lr"], optim["schedule"], optim["final_lr_fraction"]) == (rate, "cosine", 0.1)
        assert optim["warmup_fraction"] * 300e9 == pytest.approx(375e6)


def test_opt_is_its_table_and_what_it_changed() -> None:
    assert set(OPT) == {name for name in SHAPES if name.startswith("opt-")}
    for name, (layers, heads, width, rate, tokens) in OPT.items():
        config, training = shape(name), TRAINING[name]
        assert (config.layers, config.heads, config.width, config.hidden) == (layers, heads, width, 4 * width)
        assert (config.activation, config.dropout, config.init_std) == ("relu", 0.1, 0.006)
        assert training["pretrain"]["batch"] == [[0.0, tokens / 2048]]
        assert training["optim"]["peak_lr"] == rate and training["optim"]["schedule"] == "linear"
        warmup = training["optim"]["warmup_fraction"] * 300e9
        assert warmup == pytest.approx(2000 * 2 * M if name == "opt-175b" else 375e6)
    ours, theirs = shape("opt-6.7b"), shape("gpt3-6.7b")
    differing = {name for name in GPTConfig.model_fields if getattr(ours, name) != getattr(theirs, name)}
    assert differing == {"vocab_size", "activation", "dropout", "attention_dropout", "init_std"}


def test_each_rung_of_the_ladder_doubles_one_side() -> None:
    rungs = [shape(name) for name in SHAPES if name.startswith("tiny-")]
    for small, large in itertools.pairwise(rungs):
        sides = {(large.layers / small.layers), (large.width / small.width)}
        assert sides == {1.0, 2.0}
        assert large.hidden / small.hidden == large.heads / small.heads == large.width / small.width
    for name in (name for name in SHAPES if name.startswith("tiny-")):
        assert TRAINING[name]["pretrain"]["tokens"] == pytest.approx(20 * shape(name).parameters(), rel=0.02)
        assert float(name.removeprefix("tiny-").removesuffix("m")) == pytest.approx(
            shape(name).parameters() / 1e6, abs=0.5
        )


@pytest.mark.parametrize("name", list(SHAPES))
def test_every_preset_is_whole(name: str) -> None:
    config, training = shape(name), TRAINING[name]
    optim, pretrain = OptimConfig.model_validate(training["optim"]), training["pretrain"]
    shards = pretrain.get("logical_shards", 4)
    assert all(size % shards == 0 for _, size in pretrain["batch"])
    assert whole_plan(pretrain["tokens"], config.context, pretrain["batch"]).steps > 1000
    assert optim.peak_lr <= 3e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_a_card_says_what_is_published_and_what_is_not(family: ModuleType) -> None:
    assert "arXiv" in family.CARD + (importlib.import_module(family.__name__).__doc__ or "")
    assert max(len(line) for line in family.CARD.splitlines()) <= 120
