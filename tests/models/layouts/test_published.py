"""The config.json of models that everybody knows, in transformers 4's keys: the shape, and the published count."""

from typing import Any

import pytest

from models.layouts.folder import layout_of
from models.parts import part

SEVEN: dict[str, Any] = {
    "hidden_act": "silu",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "max_position_embeddings": 32768,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-05,
    "tie_word_embeddings": False,
    "vocab_size": 32000,
}
LLAMA3 = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
    "rope_type": "llama3",
}
PUBLISHED: dict[str, tuple[dict[str, Any], int, dict[str, Any]]] = {
    "gpt2": (
        {
            "model_type": "gpt2",
            "activation_function": "gelu_new",
            "attn_pdrop": 0.1,
            "embd_pdrop": 0.1,
            "layer_norm_epsilon": 1e-05,
            "n_ctx": 1024,
            "n_embd": 768,
            "n_head": 12,
            "n_layer": 12,
            "n_positions": 1024,
            "resid_pdrop": 0.1,
            "vocab_size": 50257,
        },
        124_439_808,
        {"hidden": 3072, "tie_embeddings": True, "bias": True, "positions": "learned", "dropout": 0.1},
    ),
    "facebook/opt-125m": (
        {
            "model_type": "opt",
            "activation_function": "relu",
            "do_layer_norm_before": True,
            "_remove_final_layer_norm": False,
            "dropout": 0.1,
            "ffn_dim": 3072,
            "hidden_size": 768,
            "max_position_embeddings": 2048,
            "num_attention_heads": 12,
            "num_hidden_layers": 12,
            "vocab_size": 50272,
            "word_embed_proj_dim": 768,
        },
        125_239_296 - 2 * 768,  # without the two positions that nothing reads
        {"activation": "relu", "tie_embeddings": True, "norm": "layer"},
    ),
    "meta-llama/Llama-3.1-8B": (
        SEVEN
        | {
            "model_type": "llama",
            "attention_bias": False,
            "mlp_bias": False,
            "max_position_embeddings": 131072,
            "rope_theta": 500000.0,
            "rope_scaling": LLAMA3,
            "vocab_size": 128256,
        },
        8_030_261_248,
        {"kv_heads": 8, "context": 131072, "bias": False},
    ),
    "mistralai/Mistral-7B-v0.1": (
        SEVEN | {"model_type": "mistral", "rope_theta": 10000.0, "sliding_window": 4096},
        7_241_732_096,
        {"window": 4096},
    ),
    "mistralai/Mixtral-8x7B-v0.1": (
        SEVEN
        | {
            "model_type": "mixtral",
            "num_experts_per_tok": 2,
            "num_local_experts": 8,
            "rope_theta": 1000000.0,
            "router_aux_loss_coef": 0.02,
            "sliding_window": None,
        },
        46_702_792_704,
        {"window": 0},
    ),
    "Qwen/Qwen3-8B": (
        SEVEN
        | {
            "model_type": "qwen3",
            "attention_bias": False,
            "head_dim": 128,
            "intermediate_size": 12288,
            "max_position_embeddings": 40960,
            "max_window_layers": 36,
            "num_hidden_layers": 36,
            "rms_norm_eps": 1e-06,
            "rope_scaling": None,
            "rope_theta": 1000000,
            "sliding_window": None,
            "use_sliding_window": False,
            "vocab_size": 151936,
        },
        8_190_735_360,
        {"qk_norm": True, "window": 0},
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_config_gives_the_published_count(name: str) -> None:
    found, parameters, says = PUBLISHED[name]
    shape = part("layouts", found["model_type"]).shape_of(found)
    assert shape.parameters() == parameters
    assert {field: getattr(shape, field) for field in says} == says
    assert layout_of(shape) == (found["model_type"], [])


def test_the_angles_are_read_from_either_version() -> None:
    found = PUBLISHED["meta-llama/Llama-3.1-8B"][0]
    newer = {key: value for key, value in found.items() if key not in ("rope_theta", "rope_scaling")}
    newer["rope_parameters"] = {**LLAMA3, "rope_theta": 500000.0}
    read = part("layouts", "llama").shape_of
    assert read(newer) == read(found)
    rotary = read(found).rotary
    assert (rotary.base, rotary.scaling, rotary.factor, rotary.original_context) == (5e5, "llama3", 8.0, 8192)
    older = found | {"rope_scaling": {"type": "linear", "factor": 2.0}}
    assert read(older).rotary.scaling == "linear"
    mixtral = {key: value for key, value in PUBLISHED["mistralai/Mixtral-8x7B-v0.1"][0].items() if key != "rope_theta"}
    assert part("layouts", "mixtral").shape_of(mixtral).rotary.base == 1e6  # the family's own default
