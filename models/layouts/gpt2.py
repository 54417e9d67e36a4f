"""GPT-2 (Radford 2019): learned positions, LayerNorm before each branch, biases everywhere, one matrix for query, key
and value. Its matrices are stored transposed. Knows no file.

A shape without biases is written with zeros for them, which is the same function; read back, it has them.
"""

from typing import Any

from models.config import GPTConfig
from models.layouts.llama import activation_of, outer_pieces, unmet
from models.layouts.pieces import Piece, refused, said, turned

PREFIX = "transformer."  # of all but the head
EMBEDDING = "wte.weight"
IGNORED = (".attn.bias", ".attn.masked_bias")  # causal masks that old versions wrote

ACTIVATIONS = {"gelu_tanh": "gelu_new", "gelu": "gelu", "relu": "relu", "relu2": "relu2"}
READ_AS = {theirs: ours for ours, theirs in ACTIVATIONS.items()} | {"gelu_pytorch_tanh": "gelu_tanh"}
WANTED: dict[str, tuple[Any, ...]] = {
    "positions": ("learned",),
    "norm": ("layer",),
    "placement": ("pre",),
    "activation": tuple(ACTIVATIONS),
    "qk_norm": (False,),
    "window": (0,),
    "logit_cap": (0.0,),
    "experts.count": (0,),
}
FIXED = {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False}


def reasons(config: GPTConfig, wanted: dict[str, tuple[Any, ...]] = WANTED) -> list[str]:
    """Why a shape is none of this family; empty where it is one."""
    shared = config.key_heads != config.heads
    return unmet(config, wanted) + ([f"kv_heads is {config.kv_heads}, and it has one for each head"] if shared else [])


def config_json(config: GPTConfig) -> dict[str, Any]:
    """config.json of a shape, without ids of tokens."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": config.vocab_size,
        "n_positions": config.context,
        "n_ctx": config.context,
        "n_embd": config.width,
        "n_layer": config.layers,
        "n_head": config.heads,
        "n_inner": config.hidden,
        "activation_function": ACTIVATIONS[config.activation],
        "layer_norm_epsilon": config.norm_eps,
        "resid_pdrop": config.dropout,
        "embd_pdrop": config.dropout,
        "attn_pdrop": config.attention_dropout,
        "tie_word_embeddings": config.tie_embeddings,
        **FIXED,
    }


def shape_of(found: dict[str, Any]) -> GPTConfig:
    """The shape that a config.json describes. Raises ValueError."""
    said(found, "vocab_size", "n_positions", "n_embd", "n_layer", "n_head")
    for key, value in FIXED.items():
        if found.get(key, value) != value:
            raise refused(key, found[key], f"must be {value}", "Take a plain GPT-2")
    activation: Any = activation_of(found.get("activation_function", "gelu_new"), READ_AS)
    return GPTConfig(
        vocab_size=found["vocab_size"],
        context=found["n_positions"],
        layers=found["n_layer"],
        width=found["n_embd"],
        heads=found["n_head"],
        hidden=found.get("n_inner") or 4 * found["n_embd"],
        positions="learned",
        norm="layer",
        norm_eps=found.get("layer_norm_epsilon", 1e-5),
        activation=activation,
        bias=True,
        dropout=found.get("resid_pdrop", 0.1),  # embd_pdrop is the same number in every GPT-2
        attention_dropout=found.get("attn_pdrop", 0.1),
        tie_embeddings=found.get("tie_word_embeddings", True),
    )


def pieces(config: GPTConfig, found: dict[str, Any]) -> list[Piece]:
    """Where each weight is; `found` is the folder's config.json."""
    D = config.width
    made = [*outer_pieces(config, EMBEDDING, ("ln_f.weight",)), Piece("positions.weight", ("wpe.weight",))]
    made.append(_bias(config, "norm.bias", "ln_f.bias", D))
    for layer in range(config.layers):
        ours, theirs = f"blocks.{layer}.", f"h.{layer}."
        for norm, name in (("attention_norm", "ln_1"), ("mlp_norm", "ln_2")):
            made.append(Piece(f"{ours}{norm}.weight", (f"{theirs}{name}.weight",)))
            made.append(_bias(config, f"{ours}{norm}.bias", f"{theirs}{name}.bias", D))
        for matrix, name, out in (
            ("attention.qkv", "attn.c_attn", 3 * D),
            ("attention.out", "attn.c_proj", D),
            ("mlp.up", "mlp.c_fc", config.hidden),
            ("mlp.down", "mlp.c_proj", D),
        ):
            made.append(turned(f"{ours}{matrix}.weight", f"{theirs}{name}.weight"))
            made.append(_bias(config, f"{ours}{matrix}.bias", f"{theirs}{name}.bias", out))
    return made


def _bias(config: GPTConfig, ours: str, theirs: str, size: int) -> Piece:
    return Piece(ours, (theirs,), zeros=() if config.bias else (size,))
