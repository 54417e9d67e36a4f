"""Published models reach the user: as a recipe, in a TOML file, by --set."""

from pathlib import Path

import pytest

from cluster.errors import ConfigError
from models.config import GPTConfig
from pipeline.recipes import load, presets
from pipeline.views.plan import make_plan, print_plan


def toml(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", list(presets()))
def test_every_preset_is_a_recipe_that_plans(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    config = load(name, [])
    assert config.recipe == name
    assert config.model == GPTConfig.model_validate(presets()[name].shapes()[name])
    assert config.optim.peak_lr == presets()[name].training(name)["optim"]["peak_lr"]
    assert not config.search.enabled
    plan = make_plan(config, 1e14)
    print_plan(plan)
    shown = capsys.readouterr().out
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert f"{config.model.parameters():,} parameters" in shown
    assert " ".join(presets()[name].CARD.split()) in " ".join(shown.split())


def test_a_sparse_plan_shows_total_and_active_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    print_plan(make_plan(load("mixtral-8x7b", []), 1e14))
    assert "46,702,792,704 parameters, 12,879,925,248 of them for one token" in capsys.readouterr().out
    print_plan(make_plan(load("tiny", []), 1e10))
    assert "of them" not in capsys.readouterr().out


def test_a_preset_lies_under_what_the_file_says_beside_it(tmp_path: Path) -> None:
    text = 'recipe = "tiny"\n[model]\npreset = "gpt2-124m"\nlayers = 3\ndropout = 0.0\n[model.experts]\ncount = 4\n'
    config, tiny = load(toml(tmp_path, text), []), load("tiny", [])
    expected = presets()["gpt2-124m"].shapes()["gpt2-124m"] | {"layers": 3, "dropout": 0.0, "experts": {"count": 4}}
    assert config.model == GPTConfig.model_validate(expected)
    assert config.tokens.vocab_size == 50257
    assert (config.optim, config.pretrain, config.search) == (tiny.optim, tiny.pretrain, tiny.search)
    assert config.recipe == "mine"


def test_a_preset_may_be_the_recipe_of_a_file(tmp_path: Path) -> None:
    config = load(toml(tmp_path, 'recipe = "opt-125m"\n[pretrain]\ntokens = 1000000\n'), ["optim.peak_lr=1e-3"])
    whole = load("opt-125m", [])
    assert (config.recipe, config.pretrain.tokens, config.optim.peak_lr) == ("mine", 1_000_000, 1e-3)
    assert config.model == whole.model and config.pretrain.batch == whole.pretrain.batch


def test_a_set_preset_replaces_the_file_s_model_whatever_the_order(tmp_path: Path) -> None:
    path = toml(tmp_path, 'recipe = "tiny"\n[model]\nlayers = 9\n')
    for sets in (["model.preset=gpt2-124m", "model.width=1536"], ["model.width=1536", "model.preset=gpt2-124m"]):
        config = load(path, sets)
        assert (config.model.layers, config.model.width, config.model.hidden) == (12, 1536, 3072)
        assert config.tokens.vocab_size == 50257


def test_the_user_s_own_vocabulary_wins(tmp_path: Path) -> None:
    text = 'recipe = "tiny"\n[model]\npreset = "gpt2-124m"\nvocab_size = 8192\n[tokens]\nvocab_size = 8192\n'
    assert load(toml(tmp_path, text), []).model.vocab_size == 8192
    with pytest.raises(ConfigError, match="vocab_size = 50257: equal to"):
        load("gpt2-124m", ["tokens.vocab_size=8192"])


@pytest.mark.parametrize("sets", [["model.preset=gpt2-124b"], ["model.preset=7"]])
def test_an_unknown_preset_lists_those_that_exist(sets: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load("tiny", sets)
    assert caught.value.field == "model.preset" and caught.value.exit_code == 2
    assert "mixtral-8x7b" in caught.value.remedy
    assert ("Did you mean gpt2-124m?" in caught.value.remedy) == ("124b" in sets[0])


def test_an_unknown_recipe_may_be_meant_as_a_preset() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean llama-3-8b\?") as caught:
        load("llama3-8b", [])
    assert "There are: tiny, gpt2-124m" in caught.value.remedy
