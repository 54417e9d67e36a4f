"""OPT in its nine sizes (Zhang 2022, arXiv 2205.01068, Table 1 and sections 2.2 to 2.5)."""

from typing import Any

from models.presets import gpt2

CARD = """OPT: GPT-3's shapes, trained again in the open. What it changed against GPT-3:
activation ReLU in place of GELU; batches of one size from the first step to the last (0.5 to 4 million tokens; 2
million at 175B, where GPT-3 had 3.2), no ramp; a straight line down to 10 % in place of the cosine; at 175B twice
GPT-3's rate; dropout 0.1, but none of the embeddings; weights of std 0.006, 1 / sqrt(2 layers) of it where they
write to the residual stream, as in Megatron-LM; 180 billion tokens of text (RoBERTa's, parts of the Pile, Reddit)
seen for 300 billion. Warmup 375 million tokens, 2000 steps at 175B. On the way at 175B: the rate lowered by hand,
clipping from 1.0 to 0.3, some 35 restarts by hand.
Here otherwise: dropout is of the embeddings as well (our field `dropout`); opt-350m has the norm before its branches
as its sisters, where the released one has it after the sum and an embedding of 512 channels; no clipping changes on
the way."""

# layers, width, heads, sequences a step, peak rate
_SIZES = {
    "opt-125m": (12, 768, 12, 256, 6e-4),
    "opt-350m": (24, 1024, 16, 256, 3e-4),
    "opt-1.3b": (24, 2048, 32, 512, 2e-4),
    "opt-2.7b": (32, 2560, 32, 512, 1.6e-4),
    "opt-6.7b": (32, 4096, 32, 1024, 1.2e-4),
    "opt-13b": (40, 5120, 40, 2048, 1e-4),
    "opt-30b": (48, 7168, 56, 2048, 1e-4),
    "opt-66b": (64, 9216, 72, 1024, 0.8e-4),
    "opt-175b": (96, 12288, 96, 1024, 1.2e-4),
}
_TOKENS = 300_000_000_000


def shapes() -> dict[str, dict[str, Any]]:
    """GPTConfig values by name. The vocabulary is GPT-2's, with its own special tokens, filled up to 50,272."""
    own = {"vocab_size": 50272, "activation": "relu", "init_std": 0.006}
    return gpt2.shaped(_SIZES, context=2048, dropout=0.1, attention_dropout=0.1, **own)


def training(name: str) -> dict[str, Any]:
    """Values of the sections optim and pretrain."""
    batch, rate = _SIZES[name][3:]
    warmup = 2000 * batch * 2048 if name == "opt-175b" else 375e6
    return {
        "optim": {
            "peak_lr": rate,
            "beta2": 0.95,
            "weight_decay": 0.1,
            "clip_norm": 1.0,
            "schedule": "linear",
            "warmup_fraction": warmup / _TOKENS,
            "final_lr_fraction": 0.1,
        },
        "pretrain": {"tokens": _TOKENS, "batch": [[0.0, batch]], "logical_shards": 32},
    }
