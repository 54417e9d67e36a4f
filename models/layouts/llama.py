"""Our weights, tokenizer and chat layout as files that transformers' LlamaForCausalLM loads. Knows no folder.

Needs safetensors; transformers only reads the result.
"""

import json
from typing import Any

import safetensors.torch
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
        "rope_theta": config.rotary.base,  # transformers 4
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rotary.base},  # transformers 5
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
