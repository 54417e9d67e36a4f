"""Llama (arXiv 2302.13971, 2407.21783): rotary positions, RMSNorm before each branch, a gated feed-forward layer.

Mistral, Qwen and Mixtral have its names for what they share with it, and take them from here. Knows no file.
"""

from collections.abc import Sequence
from typing import Any

from models.config import GPTConfig
from models.layouts.pieces import Piece, refused, rows, said
from models.layouts.rope import rope_json, rotary_of

PREFIX = "model."  # of all but the head
EMBEDDING = "embed_tokens.weight"
IGNORED = (".rotary_emb.inv_freq",)  # angles that old versions wrote

ACTIVATIONS = {"swiglu": "silu", "geglu": "gelu"}
READ_AS = {theirs: ours for ours, theirs in ACTIVATIONS.items()}
MUST = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
    "rms_norm_eps",
)
NORMAL: dict[str, tuple[Any, ...]] = {
    "positions": ("rotary",),
    "norm": ("rms",),
    "placement": ("pre",),
    "activation": tuple(ACTIVATIONS),
    "logit_cap": (0.0,),
}
DENSE = NORMAL | {"qk_norm": (False,), "window": (0,), "experts.count": (0,)}


def unmet(config: GPTConfig, wanted: dict[str, tuple[Any, ...]]) -> list[str]:
    """What of a shape is not as a family has it."""
    values = config.model_dump() | {"experts.count": config.experts.count}
    return [
        f"{field} is {values[field]}, and it has {' or '.join(map(str, allowed))}"
        for field, allowed in wanted.items()
        if values[field] not in allowed
    ]


def reasons(config: GPTConfig) -> list[str]:
    """Why a shape is none of this family; empty where it is one."""
    return unmet(config, DENSE)


def common_json(config: GPTConfig, model_type: str, architecture: str) -> dict[str, Any]:
    """What the families of these names have in common in config.json."""
    return {
        "architectures": [architecture],
        "model_type": model_type,
        "vocab_size": config.vocab_size,
        "hidden_size": config.width,
        "intermediate_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.key_heads,
        "head_dim": config.head_width,
        "max_position_embeddings": config.context,
        **rope_json(config),
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tie_embeddings,
        "hidden_act": ACTIVATIONS[config.activation],
        **({"attention_dropout": config.attention_dropout} if config.attention_dropout else {}),
    }


def config_json(config: GPTConfig) -> dict[str, Any]:
    """config.json of a shape, without ids of tokens."""
    found = common_json(config, "llama", "LlamaForCausalLM")
    return found | {"attention_bias": config.bias, "mlp_bias": config.bias}


def common_shape(found: dict[str, Any], base: float = 10000.0, tied: bool = False) -> dict[str, Any]:
    """Values of GPTConfig from the keys of `common_json`; `base` and `tied` where the family's own defaults differ.

    Raises ValueError for a key that is missing, or says what our model cannot be.
    """
    said(found, *MUST)
    width, heads = found["hidden_size"], found["num_attention_heads"]
    each = found.get("head_dim") or width // heads
    if each * heads != width:
        rule = f"a head has hidden_size / num_attention_heads = {width / heads:g} channels"
        raise refused("head_dim", each, rule, "Take a model with such heads")
    keys = found.get("num_key_value_heads") or heads
    return {
        "vocab_size": found["vocab_size"],
        "context": found["max_position_embeddings"],
        "layers": found["num_hidden_layers"],
        "width": width,
        "heads": heads,
        "kv_heads": 0 if keys == heads else keys,
        "hidden": found["intermediate_size"],
        "rotary": rotary_of(found, base),
        "norm_eps": found["rms_norm_eps"],
        "activation": activation_of(found.get("hidden_act", "silu"), READ_AS),
        "attention_dropout": found.get("attention_dropout") or 0.0,
        "tie_embeddings": found.get("tie_word_embeddings", tied),
    }


def activation_of(name: str, read_as: dict[str, str]) -> str:
    """Our name of an activation. Raises ValueError for one that `read_as` does not have."""
    if name not in read_as:
        raise refused("activation", name, f"one of {', '.join(read_as)}", "Take a model with one of these")
    return read_as[name]


def shape_of(found: dict[str, Any]) -> GPTConfig:
    """The shape that a config.json describes. Raises ValueError."""
    bias = bool(found.get("attention_bias") or found.get("mlp_bias"))
    return GPTConfig(**common_shape(found), bias=bias)


def attention_pieces(config: GPTConfig, found: dict[str, Any], layer: int) -> list[Piece]:
    """Norms and attention of a block, and the biases of its attention where the shape has any."""
    ours, theirs = f"blocks.{layer}.", f"layers.{layer}."
    kv = config.key_heads * config.head_width
    kinds = ["weight", *(["bias"] if config.bias else [])]
    pieces = [
        Piece(ours + "attention_norm.weight", (theirs + "input_layernorm.weight",)),
        Piece(ours + "mlp_norm.weight", (theirs + "post_attention_layernorm.weight",)),
    ]
    for kind in kinds:
        whole = kind == "weight" or found.get("attention_bias", False)
        names = [f"{theirs}self_attn.{part}_proj.{kind}" for part in "qkvo"]
        into, out = (names[:3], names[3:]) if whole else ([], [])
        pieces += [
            rows(f"{ours}attention.qkv.{kind}", into, [config.width, kv, kv]),
            Piece(f"{ours}attention.out.{kind}", tuple(out)),
        ]
    return pieces


def mlp_pieces(config: GPTConfig, found: dict[str, Any], layer: int) -> list[Piece]:
    """The dense feed-forward layer of a block."""
    ours, theirs = f"blocks.{layer}.mlp.", f"layers.{layer}.mlp."
    pieces = []
    for kind in ["weight", *(["bias"] if config.bias else [])]:
        whole = kind == "weight" or found.get("mlp_bias", False)
        names = [f"{theirs}{part}_proj.{kind}" for part in ("gate", "up", "down")] if whole else []
        pieces += [
            rows(f"{ours}gate_up.{kind}", names[:2], [config.hidden] * 2),
            Piece(f"{ours}down.{kind}", tuple(names[2:])),
        ]
    return pieces


def outer_pieces(config: GPTConfig, embedding: str = EMBEDDING, norm: Sequence[str] = ("norm.weight",)) -> list[Piece]:
    """The embedding, the last norm (whose names end as ours do) and the head where it is not the embedding."""
    head = [] if config.tie_embeddings else [Piece("head.weight", ("lm_head.weight",))]
    last = [Piece(f"norm.{name.rpartition('.')[2]}", (name,)) for name in norm]
    return [Piece("embedding.weight", (embedding,)), *last, *head]


def pieces(config: GPTConfig, found: dict[str, Any]) -> list[Piece]:
    """Where each weight is; `found` is the folder's config.json."""
    blocks = (
        attention_pieces(config, found, layer) + mlp_pieces(config, found, layer) for layer in range(config.layers)
    )
    return [*outer_pieces(config), *(piece for block in blocks for piece in block)]
