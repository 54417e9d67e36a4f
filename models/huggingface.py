"""Our weights, tokenizer and chat layout as files that transformers' LlamaForCausalLM loads, and back. Knows no folder.

Needs safetensors; transformers only reads the result.
"""

import json
from collections.abc import Mapping
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from models.chat import TEMPLATE
from models.config import GPTConfig
from models.gpt import GPT
from models.tokenizer import SPECIALS, Tokenizer

PAD, END = SPECIALS[0], SPECIALS[1]


def llama_config(config: GPTConfig, tokenizer: Tokenizer) -> dict[str, Any]:
    """config.json of transformers' Llama."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": config.vocab_size,
        "hidden_size": config.width,
        "intermediate_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.heads,
        "head_dim": config.head_width,
        "max_position_embeddings": config.context,
        "rope_theta": config.rope_base,  # transformers 4
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_base},  # transformers 5
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tie_embeddings,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": None,
        "eos_token_id": tokenizer.end_id,
        "pad_token_id": tokenizer.pad_id,
        "torch_dtype": "float32",
    }


def llama_state(model: GPT) -> dict[str, Tensor]:
    """Weights by Llama's names; the fused matrices are cut into theirs."""
    ours = model.state_dict()
    state = {"model.embed_tokens.weight": ours["embedding.weight"], "model.norm.weight": ours["norm.weight"]}
    if model.head is not None:
        state["lm_head.weight"] = ours["head.weight"]
    for layer in range(model.config.layers):
        for name, parts in _block_names(layer):
            for part, tensor in zip(parts, ours[name].chunk(len(parts)), strict=True):
                state[part] = tensor
    return {name: tensor.contiguous() for name, tensor in state.items()}


def from_llama(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> GPT:
    """A GPT from Llama's config.json and weights. Raises ValueError for a Llama whose parts differ from ours."""
    heads = config["num_attention_heads"]
    rope = config.get("rope_parameters") or {"rope_theta": config.get("rope_theta", 10000.0)}
    differs = [
        name
        for name, same in (
            ("model_type", config.get("model_type") == "llama"),
            ("num_key_value_heads", config.get("num_key_value_heads", heads) == heads),
            ("head_dim", config.get("head_dim", config["hidden_size"] // heads) == config["hidden_size"] // heads),
            ("rope_parameters", rope.get("rope_type", "default") == "default" and not config.get("rope_scaling")),
            ("hidden_act", config.get("hidden_act", "silu") == "silu"),
            ("attention_bias", not config.get("attention_bias", False)),
            ("mlp_bias", not config.get("mlp_bias", False)),
        )
        if not same
    ]
    if differs:
        raise ValueError(f"this Llama differs from our architecture in {differs}")
    model = GPT(
        GPTConfig(
            vocab_size=config["vocab_size"],
            context=config["max_position_embeddings"],
            layers=config["num_hidden_layers"],
            width=config["hidden_size"],
            heads=heads,
            hidden=config["intermediate_size"],
            rope_base=rope["rope_theta"],
            norm_eps=config["rms_norm_eps"],
            tie_embeddings=config["tie_word_embeddings"],
        )
    )
    state = {"embedding.weight": tensors["model.embed_tokens.weight"], "norm.weight": tensors["model.norm.weight"]}
    if model.head is not None:
        state["head.weight"] = tensors["lm_head.weight"]
    for layer in range(model.config.layers):
        for name, parts in _block_names(layer):
            state[name] = torch.cat([tensors[part] for part in parts])
    model.load_state_dict(state)
    return model


def export_files(model: GPT, tokenizer: Tokenizer) -> dict[str, bytes]:
    """File name -> bytes of a folder that transformers loads; the same bytes for the same model."""
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PAD,
        "eos_token": END,
        "model_max_length": model.config.context,
        "clean_up_tokenization_spaces": False,
        "chat_template": TEMPLATE,
    }
    generation = {"eos_token_id": tokenizer.end_id, "pad_token_id": tokenizer.pad_id, "do_sample": False}
    return {
        "config.json": _json(llama_config(model.config, tokenizer)),
        "generation_config.json": _json(generation),
        "model.safetensors": safetensors.torch.save(llama_state(model), metadata={"format": "pt"}),
        "tokenizer.json": tokenizer.to_json().encode(),
        "tokenizer_config.json": _json(tokenizer_config),
    }


def _block_names(layer: int) -> list[tuple[str, list[str]]]:
    """Our name of each of a block's weights, and Llama's names of its parts, stacked by rows."""
    ours, llama = f"blocks.{layer}.", f"model.layers.{layer}."
    return [
        (ours + "attention_norm.weight", [llama + "input_layernorm.weight"]),
        (ours + "attention.qkv.weight", [f"{llama}self_attn.{part}_proj.weight" for part in "qkv"]),
        (ours + "attention.out.weight", [llama + "self_attn.o_proj.weight"]),
        (ours + "mlp_norm.weight", [llama + "post_attention_layernorm.weight"]),
        (ours + "mlp.gate_up.weight", [llama + "mlp.gate_proj.weight", llama + "mlp.up_proj.weight"]),
        (ours + "mlp.down.weight", [llama + "mlp.down_proj.weight"]),
    ]


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
