"""GPT-2 in its four sizes (Radford 2019, "Language models are unsupervised multitask learners", Table 2)."""

from collections.abc import Mapping
from typing import Any

CARD = """GPT-2: learned positions, LayerNorm before each branch, GELU (tanh form), biases, tied embeddings, 1024
tokens.
Published: the shapes, batches of 512 sequences, the residual initialisation. Not published: rates, schedule, tokens.
The rates here are GPT-3's for the same size (arXiv 2005.14165, Table 2.1); the schedule and 300 billion tokens are
those that reproductions take (nanoGPT: 600,000 steps of half a million tokens). Dropout 0.1 is that of the released
code."""

_SIZES = {
    "gpt2-124m": (12, 768, 12, 6e-4),
    "gpt2-355m": (24, 1024, 16, 3e-4),
    "gpt2-774m": (36, 1280, 20, 2.5e-4),
    "gpt2-1.5b": (48, 1600, 25, 2e-4),
}


def shapes() -> dict[str, dict[str, Any]]:
    """GPTConfig values by name."""
    return shaped(_SIZES, context=1024, dropout=0.1, attention_dropout=0.1)


def shaped(sizes: Mapping[str, tuple[Any, ...]], **own: Any) -> dict[str, dict[str, Any]]:
    """GPTConfig values of sizes that begin with (layers, width, heads); ``own`` is what a family of this form has
    besides, or otherwise."""
    form = {
        "vocab_size": 50257,
        "positions": "learned",
        "norm": "layer",
        "activation": "gelu_tanh",
        "bias": True,
        "init": "gpt2",
    }
    return {
        name: form | {"layers": layers, "width": width, "heads": heads, "hidden": 4 * width} | own
        for name, (layers, width, heads, *_) in sizes.items()
    }


def training(name: str) -> dict[str, Any]:
    """Values of the sections optim and pretrain."""
    tokens = 300_000_000_000
    return {
        "optim": {
            "peak_lr": _SIZES[name][3],
            "beta2": 0.95,
            "weight_decay": 0.1,
            "clip_norm": 1.0,
            "schedule": "cosine",
            "warmup_fraction": 2000 * 512 * 1024 / tokens,
            "final_lr_fraction": 0.1,
        },
        "pretrain": {"tokens": tokens, "batch": [[0.0, 512]], "logical_shards": 32},
    }
