"""Llama 2 (Touvron 2023, arXiv 2307.09288) and Llama 3 (arXiv 2407.21783, Table 3)."""

from typing import Any

CARD = """Llama: rotary positions, RMSNorm before each branch, SwiGLU, no biases, an output head of its own; groups
of heads share keys and values in the larger Llama 2 and in all of Llama 3.
Published for Llama 2: AdamW (0.9, 0.95, eps 1e-5), decay 0.1, clipping at 1, warmup of 2000 steps, cosine to 10 %, 4
million tokens a step, 2 trillion in all. For Llama 3: peak rates and, at 405B, warmup of 8000 steps, cosine to 1 %,
batches of 4 million tokens, 8 from 252 million tokens on, 16 from 2.87 trillion on, 15.6 trillion in all; the
smaller ones are given the same course.
Here otherwise: their initialisation is not told, ours is the small one; Llama 3's first batches have 4096 tokens a
sequence, ours 8192 throughout. The shapes are those of pretraining; for long contexts set context and rotary.scaling
= "llama3"."""

# layers, width, heads, heads of keys and values, hidden
_LLAMA2 = {
    "llama-2-7b": (32, 4096, 32, 32, 11008),
    "llama-2-13b": (40, 5120, 40, 40, 13824),
    "llama-2-70b": (80, 8192, 64, 8, 28672),
}
_LLAMA3 = {
    "llama-3-8b": (32, 4096, 32, 8, 14336),
    "llama-3-70b": (80, 8192, 64, 8, 28672),
    "llama-3-405b": (126, 16384, 128, 8, 53248),
}
_RATES = {
    "llama-2-7b": 3e-4,
    "llama-2-13b": 3e-4,
    "llama-2-70b": 1.5e-4,
    "llama-3-8b": 3e-4,
    "llama-3-70b": 1.5e-4,
    "llama-3-405b": 8e-5,
}


def shapes() -> dict[str, dict[str, Any]]:
    """GPTConfig values by name."""
    second = {"vocab_size": 32000, "context": 4096}
    third = {"vocab_size": 128_256, "context": 8192, "rotary": {"base": 500_000.0}}
    return {
        name: common
        | {"layers": layers, "width": width, "heads": heads, "kv_heads": kv, "hidden": hidden, "tie_embeddings": False}
        for sizes, common in ((_LLAMA2, second), (_LLAMA3, third))
        for name, (layers, width, heads, kv, hidden) in sizes.items()
    }


def training(name: str) -> dict[str, Any]:
    """Values of the sections optim and pretrain."""
    if name in _LLAMA2:
        tokens, warmup, last, batch = 2_000_000_000_000, 2000 * 4_194_304, 0.1, [[0.0, 1024]]
    else:
        tokens, warmup, last = 15_600_000_000_000, 8000 * 8_388_608, 0.01
        batch = [[0.0, 512], [252e6 / tokens, 1024], [2.87e12 / tokens, 2048]]
    return {
        "optim": {
            "peak_lr": _RATES[name],
            "beta2": 0.95,
            "eps": 1e-5 if name in _LLAMA2 else 1e-8,
            "weight_decay": 0.1,
            "clip_norm": 1.0,
            "schedule": "cosine",
            "warmup_fraction": warmup / tokens,
            "final_lr_fraction": last,
        },
        "pretrain": {"tokens": tokens, "batch": batch, "logical_shards": 128},
    }
