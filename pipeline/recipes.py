"""Recipes: functions that return a whole config, as plain data that a TOML file or --set may change."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cluster.errors import ConfigError
from pipeline import config
from pipeline.config import RunConfig

Values = dict[str, Any]


def tiny() -> Values:
    """Ten minutes on two cores: five sources that come with pip, a model of one to three million parameters."""
    return {
        "recipe": "tiny",
        "seed": 1,
        "model": {"vocab_size": 4096, "context": 256, "layers": 4, "width": 128, "heads": 4, "hidden": 352},
        "optim": {"peak_lr": 3e-3, "warmup_fraction": 0.03, "decay_fraction": 0.6, "final_lr_fraction": 0.02},
        "corpus": {},
        "tokens": {},
        "search": {},
        "pretrain": {},
        "evaluate": {},
        "finetune": {},
        "reward": {},
        "rlhf": {},
        "export": {"title": "Firstlight tiny"},
        "cluster": {},
    }


RECIPES: dict[str, Callable[[], Values]] = {"tiny": tiny}


def load(recipe: str, sets: list[str]) -> RunConfig:
    """A recipe's name or a TOML file, with ``--set`` on top.

    A TOML file may say ``recipe = "tiny"`` and only what it changes; its run is named for the file. Raises ConfigError.
    """
    values = _named(recipe)
    for text in sets:
        config.override(values, *config.parse_set(text))
    return config.build(values)


def _named(recipe: str) -> Values:
    if recipe in RECIPES:
        return RECIPES[recipe]()
    path = Path(recipe)
    if not path.is_file():
        names = ", ".join(RECIPES)
        raise ConfigError("RECIPE", recipe, "neither a recipe nor a TOML file that can be read", f"Recipes: {names}")
    said = config.read_toml(path)
    base = said.get("recipe")
    if base in RECIPES:  # a run of its own, which must not meet the base's run directory
        said = {**config.merge(RECIPES[base](), said), "recipe": path.stem}
    return _beside(path.absolute().parent, said)


def _beside(folder: Path, values: Values) -> Values:
    """Relative paths of sources are meant from the file that names them."""
    corpus = values.get("corpus")
    if not isinstance(corpus, dict) or not isinstance(corpus.get("sources"), list):
        return values
    sources = [
        {**s, "path": str(folder / s["path"])}
        if isinstance(s, dict) and isinstance(s.get("path"), str) and s["path"]
        else s
        for s in corpus["sources"]
    ]
    return {**values, "corpus": {**corpus, "sources": sources}}
