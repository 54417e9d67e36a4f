"""Mixtral (arXiv 2401.04088): Mistral with experts in every block, no expert with a limit. Knows no file."""

from collections.abc import Sequence
from typing import Any

from models.config import ExpertsConfig, GPTConfig
from models.layouts import llama
from models.layouts.llama import EMBEDDING, IGNORED, PREFIX
from models.layouts.pieces import Piece, stacked

__all__ = ["EMBEDDING", "IGNORED", "PREFIX", "config_json", "expert_pieces", "pieces", "reasons", "shape_of"]

WANTED = llama.NORMAL | {"qk_norm": (False,), "bias": (False,)}


def reasons(config: GPTConfig) -> list[str]:
    """Why a shape is none of this family; empty where it is one."""
    experts = config.experts
    rules = [
        (experts.count == 0, "experts.count is 0, and every block of it has experts"),
        (experts.every > 1, f"experts.every is {experts.every}, and every block of it has experts"),
        (not experts.normalize, "experts.normalize is False, and its experts' weights sum to one"),
        (experts.balance == "bias", "experts.balance is bias, and its router has none"),
    ]
    return llama.unmet(config, WANTED) + [why for broken, why in rules if broken]


def config_json(config: GPTConfig) -> dict[str, Any]:
    """config.json of a shape, without ids of tokens."""
    return llama.common_json(config, "mixtral", "MixtralForCausalLM") | {
        "sliding_window": config.window or None,
        "num_local_experts": config.experts.count,
        "num_experts_per_tok": config.experts.top_k,
        "router_aux_loss_coef": config.experts.balance_weight,
        "output_router_logits": False,
    }


def shape_of(found: dict[str, Any]) -> GPTConfig:
    """The shape that a config.json describes. Raises ValueError."""
    experts = ExpertsConfig(
        count=found.get("num_local_experts", 8),
        top_k=found.get("num_experts_per_tok", 2),
        balance_weight=found.get("router_aux_loss_coef", 0.001),
    )
    window = found.get("sliding_window") or 0
    return GPTConfig(**llama.common_shape(found, base=1e6), window=window, experts=experts)


def expert_pieces(config: GPTConfig, layer: int, block: str, names: Sequence[str]) -> list[Piece]:
    """Router and experts of a block; `names` are gate's, up's and down's of one expert."""
    ours, theirs = f"blocks.{layer}.mlp.", f"layers.{layer}.{block}."
    every = [[f"{theirs}experts.{e}.{name}.weight" for name in names] for e in range(config.experts.count)]
    return [
        Piece(ours + "router.weight", (theirs + "gate.weight",)),
        stacked(ours + "gate_up.weight", [expert[:2] for expert in every]),
        stacked(ours + "down.weight", [expert[2:] for expert in every]),
    ]


def pieces(config: GPTConfig, found: dict[str, Any]) -> list[Piece]:
    """Where each weight is; `found` is the folder's config.json."""
    made = llama.outer_pieces(config)
    for layer in range(config.layers):
        made += llama.attention_pieces(config, found, layer)
        made += expert_pieces(config, layer, "block_sparse_moe", ("w1", "w3", "w2"))
    return made
