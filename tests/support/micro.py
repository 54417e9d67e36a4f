"""The whole journey in small: the tiny corpus, a model of 30,000 parameters, every stage with a budget of seconds."""

from pathlib import Path
from typing import Any

import tomli_w

from tests.support import corpus


def values(folder: Path) -> dict[str, Any]:
    """A whole config as plain data, over ``corpus.write(folder)``."""
    return {
        "recipe": "micro",
        "seed": 3,
        "model": {"vocab_size": 512, "context": 128, "layers": 2, "width": 32, "heads": 2, "hidden": 64},
        "optim": {"peak_lr": 6e-3, "warmup_fraction": 0.1, "decay_fraction": 0.6, "final_lr_fraction": 0.05},
        "corpus": corpus.values(folder),
        "tokens": {"vocab_size": 512, "max_epochs": 64.0},
        "search": {
            "peak_lrs": [2e-3, 8e-3],
            "batches": [[[0.0, 4]], [[0.0, 4], [0.5, 8]]],
            "rungs": [2048, 4096],
            "reduction": 2,
            "windows": 8,
        },
        "pretrain": {"tokens": 60_000, "batch": [[0.0, 4], [0.5, 8]], "curve_points": 3, "curve_windows": 6},
        "evaluate": {"heldout_bytes": 4000, "items": 12, "chunk_items": 6},
        "finetune": {"tokens": 8192, "heldout_tokens": 512, "samples": 4, "sample_tokens": 12, "curve_points": 2},
        "reward": {"pairs": 32, "max_tokens": 64, "min_gap": 1.0, "length_tolerance": 0.3, "resamples": 100},
        "rlhf": {
            "iterations": 3,
            "sampling": {"prompts": 32, "heldout_prompts": 8, "reply_tokens": 8, "chunk": 4, "chunks": 2},
            "ppo": {"minibatch": 4},
            "evaluate_every": 2,
            "checkpoint_every": 1,
            "samples": 4,
        },
        "export": {"title": "Firstlight micro"},
        "cluster": {"cpus": 2},
    }


def write(folder: Path) -> Path:
    """The recipe as a TOML file, with its corpus beside it."""
    path = folder / "micro.toml"
    path.write_text(tomli_w.dumps(values(folder / "sources")))
    return path
