"""Recipes: functions that return a whole config, as plain data that a TOML file or --set may change."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cluster.errors import ConfigError
from pipeline import config
from pipeline.config import RunConfig

Values = dict[str, Any]


PATHS = (
    "corpus.sources.path",
    "corpus.dedup.against",
    "corpus.decontaminate.against",
    "corpus.rules.c4.bad_words",
    "corpus.signals.quality.good",
    "corpus.signals.quality.bad",
    "corpus.signals.toxicity.good",
    "corpus.signals.toxicity.bad",
    "corpus.signals.toxicity.words",
    "tokens.file",
)
"""Fields that hold paths of the user's files."""


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
    """Relative paths are meant from the file that names them."""
    made = dict(values)
    for field in PATHS:
        holders = [made]
        *parts, last = field.split(".")
        for part in parts:
            holders = [found for holder in holders for found in _copied(holder, part)]
        for holder in holders:
            if last in holder:
                holder[last] = _from(folder, holder[last])
    return made


def _copied(holder: Values, name: str) -> list[Values]:
    """The tables under a name, one or a list of them, copied so that the caller may change them."""
    found = holder.get(name)
    if isinstance(found, dict):
        holder[name] = dict(found)
        return [holder[name]]
    if isinstance(found, list):
        holder[name] = [dict(one) if isinstance(one, dict) else one for one in found]
        return [one for one in holder[name] if isinstance(one, dict)]
    return []


def _from(folder: Path, value: Any) -> Any:
    """A path, or each of a list, from a folder; what is absolute, remote, empty or no path stays."""
    if isinstance(value, list):
        return [_from(folder, one) for one in value]
    return str(folder / value) if isinstance(value, str) and value and "://" not in value else value
