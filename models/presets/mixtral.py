"""Mixtral 8x7B (Jiang 2024, arXiv 2401.04088, Table 1) and 8x22B (its released configuration)."""

from typing import Any

CARD = """Mixtral: Mistral's layers without the window; each feed-forward layer is eight experts of which a token
takes two, weighed by the softmax over those two.
Published: the shapes. How it was trained is not: the values here are those of Llama 2 7B and 70B (arXiv 2307.09288).
The weight of the balance loss is that of the released configuration, 0.02 for a loss that is 2 where experts are
even; ours is 1 there, so 0.04."""

# layers, width, heads, heads of keys and values, hidden of one expert, context, peak rate
_SIZES = {
    "mixtral-8x7b": (32, 4096, 32, 8, 14336, 32_768, 3e-4),
    "mixtral-8x22b": (56, 6144, 48, 8, 16384, 65_536, 1.5e-4),
}


def shapes() -> dict[str, dict[str, Any]]:
    """GPTConfig values by name."""
    return {
        name: {
            "vocab_size": 32000,
            "context": context,
            "layers": layers,
            "width": width,
            "heads": heads,
            "kv_heads": kv,
            "hidden": hidden,
            "rotary": {"base": 1e6},
            "tie_embeddings": False,
            "experts": {"count": 8, "top_k": 2, "balance": "loss", "balance_weight": 0.04, "z_weight": 0.0},
        }
        for name, (layers, width, heads, kv, hidden, context, _) in _SIZES.items()
    }


def training(name: str) -> dict[str, Any]:
    """Values of the sections optim and pretrain."""
    context, rate = _SIZES[name][5:]
    tokens, batch = 2_000_000_000_000, 4_194_304 // context
    return {
        "optim": {
            "peak_lr": rate,
            "beta2": 0.95,
            "eps": 1e-5,
            "weight_decay": 0.1,
            "clip_norm": 1.0,
            "schedule": "cosine",
            "warmup_fraction": 2000 * 4_194_304 / tokens,
            "final_lr_fraction": 0.1,
        },
        "pretrain": {"tokens": tokens, "batch": [[0.0, batch]], "logical_shards": batch},
    }
