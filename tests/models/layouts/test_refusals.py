"""A folder that cannot be read is refused with field, value, rule and remedy, and a pickle is never opened."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from models.layouts.folder import export_files, layout_of, read_folder
from tests.models.fakes import tiny_config, tiny_model, tiny_tokenizer
from tests.models.layouts.fakes import exported, imported

YARN = {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 16}
CHANGES = [
    ({"model_type": "falcon"}, r"model_type = 'falcon': one of .*gpt2.*llama"),
    ({"model_type": "../../x"}, r"model_type = '../../x': one of"),
    ({"hidden_size": None}, r"hidden_size = None: config.json must say it"),
    ({"head_dim": 4}, r"head_dim = 4: a head has .* = 8 channels"),
    ({"hidden_act": "relu"}, r"activation = 'relu': one of silu, gelu"),
    ({"vocab_size": 200}, r"shape of embed_tokens.weight = \[300, 16\]: config.json makes it \[200, 16\]"),
    ({"num_hidden_layers": 1}, r"tensor = 'layers.1.*': config.json describes a model without it"),
    ({"num_hidden_layers": 3}, r"tensor = 'layers.2.*': the weights do not have it"),
    ({"num_key_value_heads": 1}, r"shape of layers.0.self_attn.k_proj.weight = \[16, 16\]: config.json makes it \[8"),
    ({"partial_rotary_factor": 0.5}, r"partial_rotary_factor = 0.5: all channels of a head turn"),
    ({"rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4}}, r"rope_type = 'longrope': default, linear"),
    (
        {"rope_parameters": YARN | {"attention_factor": 3.0}},
        r"attention_factor = 3.0: yarn is read as its paper has it",
    ),
    ({"rope_parameters": YARN | {"truncate": False}}, r"truncate = False: yarn is read as its paper has it"),
    ({"rope_parameters": YARN | {"mscale": 0.7, "mscale_all_dim": 0.7}}, r"mscale = 0.7: yarn is read as"),
    ({"quantization_config": {"quant_method": "gptq"}}, r"quantization_config = 'gptq': weights are plain floats"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return exported(tmp_path / "model", tiny_model(tie_embeddings=False))


@pytest.mark.parametrize(("changes", "message"), CHANGES, ids=[message[:24] for _, message in CHANGES])
def test_a_config_that_we_cannot_be_is_refused(folder: Path, changes: dict[str, Any], message: str) -> None:
    config = json.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(ValueError, match=message):
        imported(folder)


def test_a_pickle_is_refused_unopened_with_the_remedy(folder: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
            return open, (str(folder / "exploded"), "w")

    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match=r"file = 'pytorch_model.bin': .*safetensors alone.*save_pretrained"):
        imported(folder)
    assert not (folder / "exploded").exists()


def test_an_index_leads_to_no_file_outside_the_folder(tmp_path: Path) -> None:
    folder = exported(tmp_path / "model", tiny_model(), shard_bytes=5000)
    save_file({"model.norm.weight": torch.ones(16)}, tmp_path / "outside.safetensors")
    index = json.loads((folder / "model.safetensors.index.json").read_bytes())
    for file in ("../outside.safetensors", "model-00009-of-00009.safetensors", "config.json"):
        changed = {**index, "weight_map": {**index["weight_map"], "model.norm.weight": file}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(changed))
        with pytest.raises(ValueError, match=r"the index names it, and the folder has no such safetensors file"):
            imported(folder)


@pytest.mark.parametrize(
    ("file", "data", "message"),
    [
        ("config.json", None, r"file = 'config.json': the folder has none"),
        ("config.json", b"{", r"file = 'config.json': is no JSON"),
        ("model.safetensors", None, r"file = 'model.safetensors': the folder has neither this nor"),
        ("model.safetensors", b"not safetensors", r"file = 'model.safetensors': is no safetensors file"),
    ],
)
def test_a_file_that_is_missing_or_broken_is_named(folder: Path, file: str, data: bytes | None, message: str) -> None:
    (folder / file).unlink()
    if data is not None:
        (folder / file).write_bytes(data)
    with pytest.raises(ValueError, match=message):
        imported(folder)


def test_weights_of_integers_are_refused(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] = tensors["model.norm.weight"].to(torch.int8)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"dtype of norm.weight = 'int8': .*none that is quantised"):
        imported(folder)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_cut_or_changed_file_is_refused_or_read(data: st.DataObject) -> None:
    """Whatever the bytes of the weights' header are, nothing but a ValueError comes of it."""
    files = export_files(tiny_model(layers=1), tiny_tokenizer())
    weights = bytearray(files["model.safetensors"])
    at = data.draw(st.integers(0, 400))
    weights[at : at + 1] = data.draw(st.binary(max_size=3))
    files["model.safetensors"] = bytes(weights)
    try:
        read_folder(files.__getitem__, list(files))
    except ValueError as found:
        error = str(found)
    else:
        error = ""
    assert not error or " = " in error


OWN = [
    ({"positions": "alibi"}, "llama: positions is alibi, and it has rotary"),
    ({"positions": "none"}, "llama: positions is none"),
    ({"positions": "sinusoidal"}, "llama: positions is sinusoidal"),
    ({"activation": "relu2"}, "llama: activation is relu2"),
    ({"norm": "batch"}, "llama: norm is batch"),
    ({"placement": "post"}, "llama: placement is post"),
    ({"logit_cap": 30.0}, "llama: logit_cap is 30.0, and it has 0.0"),
    ({"window": 4, "bias": True}, "llama: window is 4"),
    ({"experts": {"count": 4, "balance": "bias"}}, "mixtral: experts.balance is bias"),
    ({"experts": {"count": 4}, "bias": True}, "mixtral: bias is True"),
]


@pytest.mark.parametrize(("changes", "reason"), OWN, ids=[reason for _, reason in OWN])
def test_a_shape_of_no_family_is_told_why(changes: dict[str, Any], reason: str) -> None:
    layout, reasons = layout_of(tiny_config(**changes))
    assert layout == "firstlight"
    assert len(reasons) == 1
    assert reasons[0].startswith(reason)
