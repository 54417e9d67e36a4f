"""A ladder of tiny models: each rung doubles the depth or the width of the one below, so that it can grow from it."""

from typing import Any

CARD = """Tiny models in Llama's form, heads of 32 channels, a vocabulary of 4096 and 256 tokens of context: minutes
to hours on a CPU.
tiny-1m is the model of the recipe tiny. Each rung is twice the one below in depth or in width (models/inits/growth.py).
Tokens: 20 a parameter, as Chinchilla would have it (arXiv 2203.15556); the rate falls as one over the width, as in
muP (arXiv 2203.03466), from the recipe's own."""

# layers, width, hidden
_SIZES = {
    "tiny-1m": (4, 128, 352),
    "tiny-2m": (8, 128, 352),
    "tiny-7m": (8, 256, 704),
    "tiny-14m": (16, 256, 704),
    "tiny-53m": (16, 512, 1408),
}
_TOKENS = {"tiny-1m": 27e6, "tiny-2m": 43e6, "tiny-7m": 150e6, "tiny-14m": 278e6, "tiny-53m": 1.07e9}


def shapes() -> dict[str, dict[str, Any]]:
    """GPTConfig values by name."""
    return {
        name: {
            "vocab_size": 4096,
            "context": 256,
            "layers": layers,
            "width": width,
            "heads": width // 32,
            "hidden": hidden,
        }
        for name, (layers, width, hidden) in _SIZES.items()
    }


def training(name: str) -> dict[str, Any]:
    """Values of the sections optim and pretrain."""
    return {
        "optim": {
            "peak_lr": 3e-3 * 128 / _SIZES[name][1],
            "warmup_fraction": 0.03,
            "decay_fraction": 0.6,
            "final_lr_fraction": 0.02,
        },
        "pretrain": {"tokens": int(_TOKENS[name]), "batch": [[0.0, 8], [0.5, 16]]},
    }
