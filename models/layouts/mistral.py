"""Mistral (arXiv 2310.06825): Llama whose tokens see a sliding window. Knows no file."""

from typing import Any

from models.config import GPTConfig
from models.layouts import llama
from models.layouts.llama import EMBEDDING, IGNORED, PREFIX, pieces

__all__ = ["EMBEDDING", "IGNORED", "PREFIX", "config_json", "pieces", "reasons", "shape_of"]

WANTED = {key: value for key, value in llama.DENSE.items() if key != "window"} | {"bias": (False,)}


def reasons(config: GPTConfig) -> list[str]:
    """Why a shape is none of this family; empty where it is one."""
    return llama.unmet(config, WANTED)


def config_json(config: GPTConfig) -> dict[str, Any]:
    """config.json of a shape, without ids of tokens."""
    found = llama.common_json(config, "mistral", "MistralForCausalLM")
    return found | {"sliding_window": config.window or None}


def shape_of(found: dict[str, Any]) -> GPTConfig:
    """The shape that a config.json describes. Raises ValueError."""
    return GPTConfig(**llama.common_shape(found), window=found.get("sliding_window") or 0)
