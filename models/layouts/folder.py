"""A folder in a layout of Hugging Face: a model and its tokenizer as files, and back. Knows no disk and no stage.

The layouts are the modules beside this one, each by the `model_type` of its config.json: `shape_of` reads a shape from
it, `pieces` says where each weight is; those that are written also have `reasons` and `config_json`. Needs safetensors;
transformers only reads the result.
"""

import json
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor

from models.chat import TEMPLATE
from models.config import GPTConfig
from models.gpt import GPT
from models.layouts.fold import folded
from models.layouts.pieces import put_together, refused, taken_apart
from models.layouts.shapes import shapes_of
from models.layouts.weights import SHARD_BYTES, read_weights, write_weights
from models.parts import part
from models.tokenizer import SPECIALS, Tokenizer

FAMILIES = {  # that are written: the first that fits is taken
    "llama": "Llama",
    "mistral": "Mistral",
    "qwen3": "Qwen3",
    "mixtral": "Mixtral",
    "qwen3_moe": "Qwen3 with experts",
    "opt": "OPT",
    "gpt2": "GPT-2",
}
READ = (*FAMILIES, "qwen2", "firstlight")
PAD, END = SPECIALS[0], SPECIALS[1]
HEAD = "lm_head.weight"

USE = """```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained(FOLDER)
tokenizer = AutoTokenizer.from_pretrained(FOLDER)
```"""


def layout_of(config: GPTConfig) -> tuple[str, list[str]]:
    """The layout that a shape is written in: where no family has it, "firstlight", and why the nearest one is none."""
    unmet = {name: part("layouts", name).reasons(config) for name in FAMILIES}
    for name, reasons in unmet.items():
        if not reasons:
            return name, []
    # of two as near, one that has experts where the shape has them
    nearest = min(unmet, key=lambda name: (len(unmet[name]), any("experts.count" in why for why in unmet[name])))
    return "firstlight", [f"{nearest}: {reason}" for reason in unmet[nearest]]


def export_files(model: GPT, tokenizer: Tokenizer, shard_bytes: int = SHARD_BYTES) -> dict[str, bytes]:
    """File name -> bytes of a folder in the model's `layout_of`; the same bytes for the same model.

    Weights are float32, in shards where they are more than `shard_bytes`.
    """
    kind, _ = layout_of(model.config)
    layout = part("layouts", kind)
    found = layout.config_json(model.config) | {
        "bos_token_id": None,
        "eos_token_id": tokenizer.end_id,
        "pad_token_id": tokenizer.pad_id,
        "torch_dtype": "float32",
    }
    ours = model.state_dict() if kind == "firstlight" else folded(model.config, model.state_dict())
    state = taken_apart(layout.pieces(model.config, found), ours)
    named = {name if name == HEAD else layout.PREFIX + name: tensor for name, tensor in state.items()}
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
        "config.json": _json(found),
        "generation_config.json": _json(generation),
        "tokenizer.json": tokenizer.to_json().encode(),
        "tokenizer_config.json": _json(tokenizer_config),
        **write_weights(named, shard_bytes),
    }


def read_folder(read: Callable[[str], bytes], names: Collection[str]) -> tuple[GPTConfig, dict[str, Tensor]]:
    """(shape, state in float32) of a pretrained model, for ``GPT(shape).load_state_dict(state)``.

    `read` gives the bytes of one of the `names` of the folder's files. Raises ValueError, with field, value, rule and
    remedy, for a model that we are none of, weights that do not fit their config.json, or a pickle.
    """
    found = read_config(read, names)
    layout = part("layouts", found["model_type"])
    config: GPTConfig = layout.shape_of(found)
    theirs = {name.removeprefix(layout.PREFIX): tensor for name, tensor in read_weights(read, names).items()}
    theirs = {name: tensor for name, tensor in theirs.items() if not name.endswith(layout.IGNORED)}
    if config.tie_embeddings and HEAD in theirs:
        head = theirs.pop(HEAD)
        if not torch.equal(head, theirs.get(layout.EMBEDDING, head)):
            rule = f"config.json ties the head to the embedding, and {HEAD} differs from it"
            raise refused("tie_word_embeddings", True, rule, "Set it to false in config.json to keep both")
    return config, put_together(layout.pieces(config, found), theirs, shapes_of(config))


def read_config(read: Callable[[str], bytes], names: Collection[str]) -> dict[str, Any]:
    """config.json of a model that we can be. Raises ValueError."""
    if "config.json" not in names:
        raise refused("file", "config.json", "the folder has none", "Give the folder of a pretrained model")
    try:
        found = json.loads(read("config.json"))
    except ValueError as error:
        raise refused("file", "config.json", f"is no JSON ({error})", "Take a whole copy of the folder") from error
    kind = found.get("model_type") if isinstance(found, dict) else None
    if kind not in READ:
        raise refused("model_type", kind, f"one of {', '.join(sorted(READ))}", "Take a model of one of these families")
    if found.get("quantization_config"):
        method = found["quantization_config"].get("quant_method")
        raise refused("quantization_config", method, "weights are plain floats", "Take the weights in bfloat16")
    return dict(found)


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
