"""Recipes: functions that return a whole config, as plain data that a TOML file or --set may change."""

import difflib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import models.presets
from cluster.errors import ConfigError
from models.parts import part
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
    "pretrain.start.source",
    "tokens.file",
)
"""Fields that hold paths of the user's files."""


def tiny() -> Values:
    """Ten minutes on two cores: five sources that come with pip, a model of one to three million parameters."""
    return {
        "recipe": "tiny",
        "seed": 1,
        "model": {"vocab_size": 4096, "context": 256, "layers": 4, "width": 128, "heads": 4, "hidden": 352},
        "optim": {  # Muon takes 0.43 of AdamW's tokens to the same held-out loss here: benchmarks/muon.py
            "kind": "muon",
            "peak_lr": 8e-3,
            "warmup_fraction": 0.03,
            "decay_fraction": 0.6,
            "final_lr_fraction": 0.02,
        },
        "corpus": {},
        "tokens": {},
        "search": {"peak_lrs": [4e-3, 8e-3, 1.6e-2]},
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
    """A recipe's name, a preset's, or a TOML file, with ``--set`` on top.

    A TOML file may say ``recipe = "tiny"`` and only what it changes; its run is named for the file. ``model.preset`` in
    the file or in a ``--set`` takes a published shape, under what is said beside it. Raises ConfigError.
    """
    values = _named(recipe)
    pairs = [config.parse_set(text) for text in sets]
    for _, name in [pair for pair in pairs if pair[0] == "model.preset"]:
        values = _shaped(values, name)
    for path, value in pairs:
        if path != "model.preset":
            config.override(values, path, value)
    return config.build(values)


def presets() -> dict[str, ModuleType]:
    """Every published model by name, with the module of its family in models/presets/."""
    families = [part("presets", found.name) for found in pkgutil.iter_modules(models.presets.__path__)]
    return {name: family for family in families for name in family.shapes()}


def preset(name: str) -> Values:
    """The tiny recipe with a published model and its training settings, which the search then leaves as they are."""
    values = _shaped(tiny(), name)
    said = presets()[name].training(name)
    kept = {"enabled": False, "batches": [said["pretrain"]["batch"]]}
    return {**values, **said, "recipe": name, "search": kept, "export": {"title": f"Firstlight {name}"}}


def _shaped(values: Values, name: Any) -> Values:
    """Values whose model is a preset, and whose tokeniser has its vocabulary."""
    known = presets()
    if name not in known:
        raise ConfigError("model.preset", name, "there is no such preset", _meant(str(name), list(known)))
    shape = known[name].shapes()[name]
    return {**values, "model": shape, "tokens": {**values.get("tokens", {}), "vocab_size": shape["vocab_size"]}}


def _meant(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return (f"Did you mean {close[0]}? " if close else "") + f"There are: {', '.join(known)}"


def _named(recipe: str) -> Values:
    if recipe in RECIPES:
        return RECIPES[recipe]()
    if recipe in presets():
        return preset(recipe)
    path = Path(recipe)
    if not path.is_file():
        rule = "neither a recipe, nor a preset, nor a TOML file that can be read"
        raise ConfigError("RECIPE", recipe, rule, _meant(recipe, [*RECIPES, *presets()]))
    said = config.read_toml(path)
    base: Values = {}
    if said.get("recipe") in (*RECIPES, *presets()):  # a run of its own, which must not meet the base's run directory
        base, said["recipe"] = _named(said["recipe"]), path.stem
    model = said.get("model")
    if isinstance(model, dict) and "preset" in model:
        base = _shaped(base, model.pop("preset"))
    return _beside(path.absolute().parent, config.merge(base, said))


def _beside(folder: Path, values: Values) -> Values:
    """Relative paths are meant from the file that names them."""
    made = dict(values)
    for field in PATHS:
        holders = [made]
        *tables, last = field.split(".")
        for table in tables:
            holders = [found for holder in holders for found in _copied(holder, table)]
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
