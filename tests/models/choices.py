"""One model for each choice of a shape, small, with no weight at a value that hides a mistake (zero, one)."""

from typing import Any

import torch

from models.gpt import GPT
from models.init import init_weights, named_generator
from tests.models.fakes import tiny_config

STRETCHED = {"factor": 4.0, "original_context": 8}
EXPERTS: dict[str, Any] = {"experts": {"count": 4, "top_k": 2}}
GROUPED = {"heads": 4, "kv_heads": 2}

CHOICES: dict[str, dict[str, Any]] = {
    "default": {},
    "learned": {"positions": "learned"},
    "sinusoidal": {"positions": "sinusoidal", "init_std": 0.1},
    "alibi": {"positions": "alibi"},
    "alibi of three heads": {"positions": "alibi", "width": 18, "heads": 3},
    "no positions": {"positions": "none"},
    "linear": {"rotary": {"scaling": "linear", "factor": 4.0}},
    "ntk": {"rotary": {"scaling": "ntk", "factor": 4.0}},
    "yarn": {"rotary": {"scaling": "yarn", **STRETCHED}},
    "llama3": {"rotary": {"scaling": "llama3", **STRETCHED}},
    "layer norm": {"norm": "layer"},
    "layer norm with biases": {"norm": "layer", "bias": True},
    "batch norm": {"norm": "batch", "bias": True},
    "no norm": {"norm": "none"},
    "post": {"placement": "post"},
    "query and key norm": {"qk_norm": True},
    "geglu": {"activation": "geglu"},
    "gelu": {"activation": "gelu"},
    "gelu_tanh": {"activation": "gelu_tanh", "bias": True},
    "relu": {"activation": "relu"},
    "relu2": {"activation": "relu2"},
    "grouped": GROUPED,
    "one key head": {"heads": 4, "kv_heads": 1, "qk_norm": True, "bias": True},
    "window": {"window": 5},
    "window of one": {"window": 1},
    "window, alibi, grouped": {"window": 5, "positions": "alibi", **GROUPED},
    "window, learned": {"window": 3, "positions": "learned"},
    "dropout": {"dropout": 0.2, "attention_dropout": 0.1},
    "cap": {"logit_cap": 2.0},
    "untied": {"tie_embeddings": False},
    "experts": EXPERTS,
    "experts of every other layer": {
        "experts": {"count": 3, "top_k": 1, "every": 2, "normalize": False, "balance": "bias"},
        "activation": "relu",
        "bias": True,
    },
    "mup": {"init": "mup", "base_width": 4, "logit_cap": 3.0},
    "completep": {"init": "completep", "base_width": 4, "base_layers": 1, "tie_embeddings": False},
    "tfixup": {"init": "tfixup", "norm": "none"},
    "gpt2": {
        "positions": "learned", "norm": "layer", "activation": "gelu_tanh", "bias": True, "dropout": 0.1,
        "attention_dropout": 0.1, "init": "gpt2",
    },
    "ten at once": {
        "positions": "alibi", "norm": "layer", "placement": "post", "qk_norm": True, "activation": "geglu", "window": 6,
        "bias": True, "logit_cap": 5.0, "tie_embeddings": False, **GROUPED, **EXPERTS,
    },
}  # fmt: skip


def choice_model(name: str, **changes: Any) -> GPT:
    """The model of a choice in evaluation mode, 300 tokens, context 32."""
    model = GPT(tiny_config(**(CHOICES[name] | changes)))
    init_weights(model, 0)
    with torch.no_grad():
        for key, weight in model.named_parameters():
            weight.mul_(2.0).add_(0.1 * torch.randn(weight.shape, generator=named_generator(1, key)))
    return model.eval()


def tokens_of(rows: int, length: int) -> torch.Tensor:
    return torch.randint(0, 300, (rows, length), generator=torch.Generator().manual_seed(1))
