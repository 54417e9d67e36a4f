"""Qwen3 (arXiv 2505.09388): Llama with a norm of each query's and key's head, all blocks with or without a window.
Knows no file."""

from typing import Any

from models.config import GPTConfig
from models.layouts import llama
from models.layouts.llama import EMBEDDING, IGNORED, PREFIX
from models.layouts.pieces import Piece, refused

__all__ = ["EMBEDDING", "IGNORED", "PREFIX", "config_json", "head_norms", "pieces", "reasons", "shape_of", "window_of"]

WANTED = {key: value for key, value in llama.DENSE.items() if key != "window"} | {"qk_norm": (True,), "bias": (False,)}


def reasons(config: GPTConfig) -> list[str]:
    """Why a shape is none of this family; empty where it is one."""
    return llama.unmet(config, WANTED)


def config_json(config: GPTConfig) -> dict[str, Any]:
    """config.json of a shape, without ids of tokens."""
    found = llama.common_json(config, "qwen3", "Qwen3ForCausalLM") | {"attention_bias": False}
    if config.window:
        found |= {"use_sliding_window": True, "sliding_window": config.window, "max_window_layers": 0}
        found["layer_types"] = ["sliding_attention"] * config.layers
    return found


def window_of(found: dict[str, Any]) -> int:
    """The window of all blocks, 0 for none. Raises ValueError where some have one and some have none."""
    window, layers = found.get("sliding_window"), found["num_hidden_layers"]
    if not found.get("use_sliding_window") or not window:
        return 0
    first = found.get("max_window_layers", 28)
    kinds = found.get("layer_types") or ["sliding_attention" if i >= first else "full_attention" for i in range(layers)]
    if len(set(kinds)) > 1:
        rule = "every block has the window, or none has"
        raise refused("layer_types", sorted(set(kinds)), rule, "Take a model with one kind of attention")
    return int(window) if kinds[0] == "sliding_attention" else 0


def shape_of(found: dict[str, Any]) -> GPTConfig:
    """The shape that a config.json describes. Raises ValueError."""
    bias = bool(found.get("attention_bias"))
    return GPTConfig(**llama.common_shape(found), window=window_of(found), qk_norm=True, bias=bias)


def head_norms(layer: int) -> list[Piece]:
    """The norms of query and key."""
    ours, theirs = f"blocks.{layer}.attention.", f"layers.{layer}.self_attn."
    return [Piece(f"{ours}{part}_norm.weight", (f"{theirs}{part[0]}_norm.weight",)) for part in ("query", "key")]


def pieces(config: GPTConfig, found: dict[str, Any]) -> list[Piece]:
    """Where each weight is; `found` is the folder's config.json."""
    return llama.pieces(config, found) + [piece for layer in range(config.layers) for piece in head_norms(layer)]
