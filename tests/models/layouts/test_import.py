"""Every family's random model, saved by transformers, says the same when we read it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.layouts.fakes import assert_same, imported, saved

QWEN3 = {"head_dim": 8}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 40}


def rope(kind: str, **values: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 500.0, **values}}


LLAMA3 = {"factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}),
    "llama tied, one key a head": ("Llama", {"tie_word_embeddings": True, "num_key_value_heads": 4}),
    "llama with biases": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "llama with biases of attention": ("Llama", {"attention_bias": True}),
    "llama with biases of the mlp": ("Llama", {"mlp_bias": True}),
    "llama geglu": ("Llama", {"hidden_act": "gelu"}),
    "llama linear": ("Llama", rope("linear", factor=4.0)),
    "llama llama3": ("Llama", rope("llama3", **LLAMA3)),
    "llama yarn": ("Llama", rope("yarn", factor=4.0, original_max_position_embeddings=8)),
    "llama yarn by hand": (
        "Llama",
        rope("yarn", factor=2.0, original_max_position_embeddings=16, beta_fast=8.0, beta_slow=2.0),
    ),
    "llama dynamic": ("Llama", rope("dynamic", factor=4.0)),
    "mistral": ("Mistral", {"sliding_window": 5}),
    "mistral without a window": ("Mistral", {"sliding_window": None}),
    "qwen2": ("Qwen2", {}),
    "qwen3": ("Qwen3", QWEN3),
    "qwen3 with a window": (
        "Qwen3",
        QWEN3 | {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 0},
    ),
    "qwen3 with biases": ("Qwen3", QWEN3 | {"attention_bias": True}),
    "mixtral": ("Mixtral", {"num_local_experts": 4}),
    "mixtral with a window": ("Mixtral", {"num_local_experts": 4, "sliding_window": 5, "num_experts_per_tok": 3}),
    "qwen3 experts": ("Qwen3Moe", QWEN3 | EXPERTS),
    "qwen3 experts in each second block": (
        "Qwen3Moe",
        QWEN3 | EXPERTS | {"num_hidden_layers": 3, "mlp_only_layers": [1], "norm_topk_prob": True},
    ),
    "gpt2": ("GPT2", {}),
    "gpt2 exact gelu, untied": ("GPT2", {"activation_function": "gelu", "tie_word_embeddings": False, "n_inner": 24}),
    "gpt2 relu2": ("GPT2", {"activation_function": "relu2"}),
    "opt": ("OPT", {}),
    "opt untied": ("OPT", {"tie_word_embeddings": False}),
}


@pytest.mark.parametrize("case", CASES)
def test_an_imported_model_says_what_transformers_says(case: str, tmp_path: Path) -> None:
    theirs = saved(tmp_path, *CASES[case])
    ours = imported(tmp_path)
    assert_same(ours, theirs)
    assert sum(p.numel() for p in ours.parameters()) == ours.config.parameters()


def test_shards_are_read_as_one_file_is(tmp_path: Path) -> None:
    theirs = saved(tmp_path, "Mixtral", {"num_local_experts": 4}, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 3
    assert_same(imported(tmp_path), theirs)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_floats_become_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    saved(tmp_path, "Llama", {})
    file = tmp_path / "model.safetensors"
    halved = {name: tensor.to(dtype) for name, tensor in load_file(file).items()}
    save_file(halved, file, metadata={"format": "pt"})
    ours = imported(tmp_path)
    assert {tensor.dtype for tensor in ours.state_dict().values()} == {torch.float32}
    assert torch.equal(ours.embedding.weight, halved["model.embed_tokens.weight"].float())


def test_a_file_of_the_base_model_has_shorter_names(tmp_path: Path) -> None:
    """As in the first GPT-2 folder of OpenAI: no prefix, and the causal masks beside the weights."""
    theirs = saved(tmp_path, "GPT2", {})
    file = tmp_path / "model.safetensors"
    bare = {name.removeprefix("transformer."): tensor for name, tensor in load_file(file).items()}
    bare["h.0.attn.bias"] = torch.ones(1, 1, 32, 32)
    save_file(bare, file, metadata={"format": "pt"})
    assert_same(imported(tmp_path), theirs)


def test_a_tied_head_may_lie_beside_its_embedding(tmp_path: Path) -> None:
    theirs = saved(tmp_path, "Llama", {"tie_word_embeddings": True})
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, file, metadata={"format": "pt"})
    assert_same(imported(tmp_path), theirs)
    tensors["lm_head.weight"][0, 0] += 1
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"tie_word_embeddings = True: .*differs.*Set it to false"):
        imported(tmp_path)
