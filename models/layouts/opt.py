"""OPT (arXiv 2205.01068): learned positions, whose first two rows nothing reads, LayerNorm before each branch, ReLU,
biases everywhere. Its 350M, which has its norms after the sums and a narrower embedding, is none. Knows no file."""

from typing import Any

from models.config import GPTConfig
from models.layouts import gpt2
from models.layouts.llama import outer_pieces
from models.layouts.pieces import Piece, beyond, refused, rows, said

PREFIX = "model."  # of all but the head
EMBEDDING = "decoder.embed_tokens.weight"
IGNORED: tuple[str, ...] = ()

WANTED = gpt2.WANTED | {"activation": ("relu",), "bias": (True,), "norm_eps": (1e-5,)}
FIXED: dict[str, Any] = {
    "do_layer_norm_before": True,
    "_remove_final_layer_norm": False,
    "enable_bias": True,
    "layer_norm_elementwise_affine": True,
    "activation_function": "relu",
}
UNREAD = 2  # rows of the positions


def reasons(config: GPTConfig) -> list[str]:
    """Why a shape is none of this family; empty where it is one."""
    return gpt2.reasons(config, WANTED)


def config_json(config: GPTConfig) -> dict[str, Any]:
    """config.json of a shape, without ids of tokens."""
    return {
        "architectures": ["OPTForCausalLM"],
        "model_type": "opt",
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context,
        "hidden_size": config.width,
        "word_embed_proj_dim": config.width,
        "ffn_dim": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "dropout": config.dropout,
        "attention_dropout": config.attention_dropout,
        "tie_word_embeddings": config.tie_embeddings,
        **FIXED,
    }


def shape_of(found: dict[str, Any]) -> GPTConfig:
    """The shape that a config.json describes. Raises ValueError."""
    keys = ("vocab_size", "max_position_embeddings", "hidden_size", "ffn_dim")
    said(found, *keys, "num_hidden_layers", "num_attention_heads")
    width = found["hidden_size"]
    for key, value in {**FIXED, "word_embed_proj_dim": width}.items():
        if found.get(key, value) != value:
            raise refused(key, found[key], f"must be {value}", "Take another size of OPT: 350M alone differs")
    return GPTConfig(
        vocab_size=found["vocab_size"],
        context=found["max_position_embeddings"],
        layers=found["num_hidden_layers"],
        width=width,
        heads=found["num_attention_heads"],
        hidden=found["ffn_dim"],
        positions="learned",
        norm="layer",
        activation="relu",
        bias=True,
        dropout=found.get("dropout", 0.1),
        attention_dropout=found.get("attention_dropout", 0.0),
        tie_embeddings=found.get("tie_word_embeddings", True),
    )


def pieces(config: GPTConfig, found: dict[str, Any]) -> list[Piece]:
    """Where each weight is; `found` is the folder's config.json."""
    last = [f"decoder.final_layer_norm.{kind}" for kind in ("weight", "bias")]
    made = outer_pieces(config, EMBEDDING, last)
    made.append(beyond("positions.weight", "decoder.embed_positions.weight", UNREAD))
    for layer in range(config.layers):
        ours, theirs = f"blocks.{layer}.", f"decoder.layers.{layer}."
        for kind in ("weight", "bias"):
            parts = [f"{theirs}self_attn.{part}_proj.{kind}" for part in "qkv"]
            made.append(rows(f"{ours}attention.qkv.{kind}", parts, [config.width] * 3))
            for weight, name in (
                ("attention.out", "self_attn.out_proj"),
                ("attention_norm", "self_attn_layer_norm"),
                ("mlp.up", "fc1"),
                ("mlp.down", "fc2"),
                ("mlp_norm", "final_layer_norm"),
            ):
                made.append(Piece(f"{ours}{weight}.{kind}", (f"{theirs}{name}.{kind}",)))
    return made
