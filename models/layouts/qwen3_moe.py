"""Qwen3's mixture of experts (arXiv 2505.09388): Qwen3 with experts in each so many-th block. Knows no file."""

from typing import Any

from models.config import ExpertsConfig, GPTConfig
from models.layouts import llama, mixtral, qwen3
from models.layouts.llama import EMBEDDING, IGNORED, PREFIX
from models.layouts.pieces import Piece, refused

__all__ = ["EMBEDDING", "IGNORED", "PREFIX", "config_json", "pieces", "reasons", "shape_of"]

WANTED = llama.NORMAL | {"qk_norm": (True,), "bias": (False,)}


def reasons(config: GPTConfig) -> list[str]:
    """Why a shape is none of this family; empty where it is one."""
    rules = [
        (config.experts.count == 0, "experts.count is 0, and it has experts"),
        (config.experts.balance == "bias", "experts.balance is bias, and its router has none"),
    ]
    return llama.unmet(config, WANTED) + [why for broken, why in rules if broken]


def config_json(config: GPTConfig) -> dict[str, Any]:
    """config.json of a shape, without ids of tokens."""
    return llama.common_json(config, "qwen3_moe", "Qwen3MoeForCausalLM") | {
        "attention_bias": False,
        "use_sliding_window": config.window > 0,
        "sliding_window": config.window or None,
        "num_experts": config.experts.count,
        "num_experts_per_tok": config.experts.top_k,
        "moe_intermediate_size": config.hidden,
        "norm_topk_prob": config.experts.normalize,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [layer for layer in range(config.layers) if not config.sparse(layer)],
        "router_aux_loss_coef": config.experts.balance_weight,
        "output_router_logits": False,
    }


def shape_of(found: dict[str, Any]) -> GPTConfig:
    """The shape that a config.json describes. Raises ValueError."""
    values = llama.common_shape(found)
    layers, step = values["layers"], found.get("decoder_sparse_step") or 1
    dense = {*(found.get("mlp_only_layers") or ()), *(i for i in range(layers) if (i + 1) % step)}
    hidden = found.get("moe_intermediate_size", 768)
    if dense and hidden != values["hidden"]:
        rule = f"dense layers are as wide as an expert, and intermediate_size is {values['hidden']}"
        raise refused("moe_intermediate_size", hidden, rule, "Take a model with experts in every block")
    window = (found.get("sliding_window") or 0) if found.get("use_sliding_window") else 0
    for every in range(1, layers + 1):
        experts = ExpertsConfig(
            count=found.get("num_experts") or found.get("num_local_experts") or 128,
            top_k=found.get("num_experts_per_tok", 8),
            every=every,
            normalize=found.get("norm_topk_prob", False),
            balance_weight=found.get("router_aux_loss_coef", 0.001),
        )
        bias = bool(found.get("attention_bias"))
        shape = GPTConfig(**values | {"hidden": hidden}, window=window, qk_norm=True, bias=bias, experts=experts)
        if {layer for layer in range(layers) if not shape.sparse(layer)} == dense:
            return shape
    rule = "each so many-th block has experts, the last among them"
    raise refused("mlp_only_layers", sorted(dense), rule, "Take a model with experts in every block")


def pieces(config: GPTConfig, found: dict[str, Any]) -> list[Piece]:
    """Where each weight is; `found` is the folder's config.json."""
    made = llama.outer_pieces(config)
    for layer in range(config.layers):
        made += llama.attention_pieces(config, found, layer) + qwen3.head_norms(layer)
        if config.sparse(layer):
            made += mixtral.expert_pieces(config, layer, "mlp", ("gate_proj", "up_proj", "down_proj"))
        else:
            made += llama.mlp_pieces(config, found, layer)
    return made
