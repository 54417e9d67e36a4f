"""Our models load with transformers and say the same; our own layout holds every shape; both ways are exact."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from models.chat import Turn, prompt, render
from models.gpt import GPT
from models.layouts.folder import export_files, layout_of, read_folder
from tests.models.fakes import TEXTS, tiny_model, tiny_tokenizer
from tests.models.layouts.fakes import TOKENS, TOLERANCE, assert_same, exported, imported, loaded, theirs_of

GPT2 = {"positions": "learned", "norm": "layer", "activation": "gelu_tanh", "bias": True}
ROTARY = {"base": 500.0, "factor": 4.0, "original_context": 8}
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {"rotary": {"base": 500.0}, "norm_eps": 1e-4}),
    "untied": ("llama", {"tie_embeddings": False}),
    "shared keys": ("llama", {"kv_heads": 1}),
    "biases": ("llama", {"bias": True, "kv_heads": 1}),
    "geglu": ("llama", {"activation": "geglu"}),
    "linear": ("llama", {"rotary": {"scaling": "linear", "base": 500.0, "factor": 4.0}}),
    "ntk": ("llama", {"rotary": {"scaling": "ntk", "base": 500.0, "factor": 4.0}}),
    "llama3": ("llama", {"rotary": {"scaling": "llama3", **ROTARY}}),
    "yarn": ("llama", {"rotary": {"scaling": "yarn", "low": 1.0, "high": 32.0, **ROTARY}}),
    "dropout": ("llama", {"dropout": 0.2, "attention_dropout": 0.1}),
    "window": ("mistral", {"window": 5}),
    "qk_norm": ("qwen3", {"qk_norm": True, "kv_heads": 1}),
    "qk_norm, window": ("qwen3", {"qk_norm": True, "window": 5}),
    "experts": ("mixtral", {"experts": {"count": 4}, "kv_heads": 1}),
    "experts, window": ("mixtral", {"experts": {"count": 4, "top_k": 3}, "window": 5}),
    "experts, qk_norm": ("qwen3_moe", {"experts": {"count": 4}, "qk_norm": True}),
    "some experts": (
        "qwen3_moe",
        {"experts": {"count": 4, "every": 2, "normalize": False}, "qk_norm": True, "layers": 3, "window": 5},
    ),
    "gpt2": ("gpt2", GPT2),
    "gpt2 untied": ("gpt2", GPT2 | {"tie_embeddings": False, "dropout": 0.2}),
    "gpt2 without biases": ("gpt2", GPT2 | {"bias": False}),
    "gpt2 relu2": ("gpt2", GPT2 | {"activation": "relu2"}),
    "opt": ("opt", GPT2 | {"activation": "relu"}),
}
FOLDED: dict[str, tuple[str, dict[str, Any]]] = {
    "mup": ("llama", {"init": "mup", "base_width": 4}),
    "mup, untied, biases": ("llama", {"init": "mup", "base_width": 4, "tie_embeddings": False, "bias": True}),
    "mup, qk_norm": ("qwen3", {"init": "mup", "base_width": 4, "qk_norm": True}),
    "completep": ("gpt2", GPT2 | {"init": "completep", "base_width": 4, "base_layers": 1}),
    "completep, experts": (
        "mixtral",
        {"init": "completep", "base_width": 4, "base_layers": 1, "experts": {"count": 4}},
    ),
}
OWN: dict[str, dict[str, Any]] = {
    "alibi": {"positions": "alibi"},
    "none": {"positions": "none"},
    "sinusoidal": {"positions": "sinusoidal"},
    "batch": {"norm": "batch"},
    "no norm": {"norm": "none", "init": "tfixup"},
    "post": {"placement": "post", "norm": "layer", "bias": True},
    "cap": {"logit_cap": 5.0},
    "bias balance": {"experts": {"count": 4, "balance": "bias"}},
}


def sharp_model(**changes: Any) -> GPT:
    """Every parameter counts: biases are not zero, norms not one."""
    model = tiny_model(**changes).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1 or parameter.shape[0] == model.config.experts.count:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


@pytest.mark.parametrize("name", SHAPES | FOLDED)
def test_transformers_says_what_the_exported_model_says(name: str, tmp_path: Path) -> None:
    layout, changes = (SHAPES | FOLDED)[name]
    model = sharp_model(**changes)
    assert layout_of(model.config) == (layout, [])
    theirs = theirs_of(exported(tmp_path, model))
    assert theirs.config.model_type == layout
    assert_same(model, theirs)


@pytest.mark.parametrize("name", SHAPES)
def test_reading_what_was_written_gives_the_model_and_then_the_same_bytes(name: str, tmp_path: Path) -> None:
    model = sharp_model(**SHAPES[name][1])
    again = imported(exported(tmp_path, model))
    want, got = model.state_dict(), again.state_dict()
    assert all(torch.equal(got[key], tensor) for key, tensor in want.items())
    assert all(not got[key].any() for key in got.keys() - want.keys()), "biases that the shape does not have are zero"
    assert export_files(again, tiny_tokenizer()) == export_files(model, tiny_tokenizer())


@pytest.mark.parametrize("name", FOLDED)
def test_an_inits_multipliers_are_folded_into_the_weights(name: str, tmp_path: Path) -> None:
    model = sharp_model(**FOLDED[name][1])
    again = imported(exported(tmp_path, model))
    assert again.config.init == "small"
    torch.testing.assert_close(again(TOKENS), model(TOKENS), rtol=0, atol=TOLERANCE)
    assert export_files(again, tiny_tokenizer()) == export_files(model, tiny_tokenizer())


@pytest.mark.parametrize("name", OWN)
def test_our_own_layout_holds_every_other_shape(name: str, tmp_path: Path) -> None:
    model = sharp_model(**OWN[name])
    with torch.no_grad():  # running statistics and balancing biases are part of the model
        for buffer in model.buffers():
            if buffer.dtype == torch.float32:
                buffer.add_(0.1)
    assert layout_of(model.config)[0] == "firstlight"
    again = imported(exported(tmp_path, model))
    assert again.config == model.config
    assert again.state_dict().keys() == model.state_dict().keys()
    for key, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], tensor), key
    assert export_files(again, tiny_tokenizer()) == export_files(model, tiny_tokenizer())


def test_shards_hold_what_one_file_holds(tmp_path: Path) -> None:
    model = sharp_model(tie_embeddings=False)
    folder = exported(tmp_path / "shards", model, shard_bytes=5000)
    files = sorted(folder.glob("model-*.safetensors"))
    assert len(files) > 3
    assert files[0].name == f"model-00001-of-{len(files):05}.safetensors"
    assert_same(imported(folder), theirs_of(folder))
    assert_same(model, theirs_of(folder))


def test_transformers_gives_the_same_ids(tmp_path: Path) -> None:
    ours, theirs = tiny_tokenizer(), AutoTokenizer.from_pretrained(exported(tmp_path, tiny_model()))
    for text in (*TEXTS[:2], "", "  x\n\n1234  ", "e\u0301 👩‍👩‍👧 \x00"):
        assert theirs(text)["input_ids"] == ours.encode(text)
        assert theirs.decode(ours.encode(text)) == text
    assert (theirs.eos_token_id, theirs.pad_token_id) == (ours.end_id, ours.pad_id)


def test_transformers_gives_the_same_chat(tmp_path: Path) -> None:
    ours, theirs = tiny_tokenizer(), AutoTokenizer.from_pretrained(exported(tmp_path, tiny_model()))
    turns = [Turn("user", " hi there\n"), Turn("assistant", "ok "), Turn("user", "and?")]
    messages = [{"role": turn.role, "content": turn.text} for turn in turns]
    for open_turn, expected in ((True, prompt(ours, turns)), (False, render(ours, turns)[0])):
        text = theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=open_turn)
        assert theirs(text)["input_ids"] == expected


def test_export_is_a_function_of_the_model() -> None:
    first, second = (export_files(tiny_model(), tiny_tokenizer()) for _ in range(2))
    assert first == second
    assert first["model.safetensors"] != export_files(tiny_model(seed=1), tiny_tokenizer())["model.safetensors"]
    assert json.loads(first["config.json"])["model_type"] == "llama"
    config, state = read_folder(first.__getitem__, list(first))
    assert torch.equal(loaded(config, state).embedding.weight, tiny_model().embedding.weight)
