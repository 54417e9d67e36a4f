"""A choice by its name: the leaf module models/FOLDER/NAME.py. Knows none of them."""

import importlib
from typing import Any


def part(folder: str, name: str) -> Any:
    """The module of one choice, e.g. ``part("norms", "rms")``. Raises ValueError where there is none of this name."""
    try:
        return importlib.import_module(f"models.{folder}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"models.{folder}.{name}":
            raise
        raise ValueError(f"there is no {name} among models/{folder}") from error
