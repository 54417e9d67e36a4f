"""The GPT-3 family (Brown 2020, arXiv 2005.14165, Table 2.1 and appendix B)."""

from typing import Any

from models.presets import gpt2

CARD = """GPT-3: GPT-2's layers at 2048 tokens of context, 300 billion tokens for each of the eight sizes.
Published: Adam with betas 0.9 and 0.95, decay 0.1, clipping at 1, cosine to 10 % over 260 billion tokens, warmup
over 375 million, batches that grow from 32 thousand tokens over the first 4 to 12 billion, as the size asks.
Here otherwise: attention is dense in all layers (theirs is locally banded in each second one); the cosine ends with
the run; the ramp of the batch is a staircase of four. The table has 24 heads of 128 at width 2048 and a width of
5140 in 40 heads of 128: these do not multiply out, and we take 16 heads and 5120. Vocabulary: GPT-2's. Dropout is
not told: none."""

# layers, width, heads, sequences a step, peak rate, tokens over which the batch grows
_SIZES = {
    "gpt3-125m": (12, 768, 12, 256, 6e-4, 4e9),
    "gpt3-350m": (24, 1024, 16, 256, 3e-4, 4e9),
    "gpt3-760m": (24, 1536, 16, 256, 2.5e-4, 4e9),
    "gpt3-1.3b": (24, 2048, 16, 512, 2e-4, 6e9),
    "gpt3-2.7b": (32, 2560, 32, 512, 1.6e-4, 6e9),
    "gpt3-6.7b": (32, 4096, 32, 1024, 1.2e-4, 8e9),
    "gpt3-13b": (40, 5120, 40, 1024, 1e-4, 10e9),
    "gpt3-175b": (96, 12288, 96, 1568, 0.6e-4, 12e9),
}
_TOKENS = 300_000_000_000
_FIRST = 16  # sequences: 32,768 tokens


def shapes() -> dict[str, dict[str, Any]]:
    """GPTConfig values by name."""
    return gpt2.shaped(_SIZES, context=2048)


def training(name: str) -> dict[str, Any]:
    """Values of the sections optim and pretrain."""
    *_, batch, rate, ramp = _SIZES[name]
    stages = [[quarter * ramp / 4 / _TOKENS, max(_FIRST, _whole(batch * quarter / 4))] for quarter in range(5)]
    return {
        "optim": {
            "peak_lr": rate,
            "beta2": 0.95,
            "weight_decay": 0.1,
            "clip_norm": 1.0,
            "schedule": "cosine",
            "warmup_fraction": 375e6 / _TOKENS,
            "final_lr_fraction": 0.1,
        },
        "pretrain": {"tokens": _TOKENS, "batch": stages, "logical_shards": _FIRST},
    }


def _whole(sequences: float) -> int:
    """The nearest multiple of the logical shards."""
    return _FIRST * round(sequences / _FIRST)
