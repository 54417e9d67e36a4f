"""Qwen2 (arXiv 2407.10671): Llama with biases for query, key and value alone. Read only: its other biases become zeros,
and the model is written as Llama, which has them all. Knows no file."""

from typing import Any

from models.config import GPTConfig
from models.layouts import llama, qwen3
from models.layouts.llama import EMBEDDING, IGNORED, PREFIX
from models.layouts.pieces import Piece

__all__ = ["EMBEDDING", "IGNORED", "PREFIX", "pieces", "shape_of"]


def shape_of(found: dict[str, Any]) -> GPTConfig:
    """The shape that a config.json describes. Raises ValueError."""
    return GPTConfig(**llama.common_shape(found), window=qwen3.window_of(found), bias=True)


def pieces(config: GPTConfig, found: dict[str, Any]) -> list[Piece]:
    """Where each weight is."""
    whole = llama.pieces(config, found | {"attention_bias": True, "mlp_bias": False})
    return [Piece(p.ours, ()) if p.ours.endswith("attention.out.bias") else p for p in whole]
