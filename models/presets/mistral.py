"""Mistral 7B (Jiang 2023, arXiv 2310.06825, Table 1): Llama's layers, and a window over the last tokens."""

from typing import Any

CARD = """Mistral: Llama's layers with 8 heads of keys and values and a window of 4096 tokens.
Published: the shape. How it was trained is not: the values here are those of Llama 2 7B (arXiv 2307.09288)."""


def shapes() -> dict[str, dict[str, Any]]:
    """GPTConfig values by name."""
    return {
        "mistral-7b": {
            "vocab_size": 32000,
            "context": 8192,
            "layers": 32,
            "width": 4096,
            "heads": 32,
            "kv_heads": 8,
            "hidden": 14336,
            "window": 4096,
            "tie_embeddings": False,
        }
    }


def training(name: str) -> dict[str, Any]:
    """Values of the sections optim and pretrain."""
    tokens = 2_000_000_000_000
    return {
        "optim": {
            "peak_lr": 3e-4,
            "beta2": 0.95,
            "eps": 1e-5,
            "weight_decay": 0.1,
            "clip_norm": 1.0,
            "schedule": "cosine",
            "warmup_fraction": 2000 * 512 * 8192 / tokens,
            "final_lr_fraction": 0.1,
        },
        "pretrain": {"tokens": tokens, "batch": [[0.0, 512]], "logical_shards": 64},
    }
