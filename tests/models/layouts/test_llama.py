import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from models.chat import Turn, prompt, render
from models.generate import generate
from models.gpt import GPT
from models.layouts.llama import export_files
from tests.models.fakes import TEXTS, tiny_model, tiny_tokenizer


def exported(folder: Path, model: GPT) -> Path:
    for name, data in export_files(model, tiny_tokenizer()).items():
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("tied", [True, False])
def test_transformers_gives_the_same_logits_and_greedy_text(tmp_path: Path, tied: bool) -> None:
    model = tiny_model(tie_embeddings=tied, rotary={"base": 500.0}, norm_eps=1e-4)
    loaded: Any = LlamaForCausalLM.from_pretrained(exported(tmp_path, model), output_loading_info=True)
    theirs, info = loaded
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    tokens = torch.randint(4, 300, (2, 32), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(theirs(tokens).logits, model(tokens), rtol=0, atol=1e-4)
    ours = generate(model, [[5, 6, 7]], max_new=20, temperature=0.0, stop_id=1, pad_id=0, keys=[(0,)])[0]
    got = theirs.generate(torch.tensor([[5, 6, 7]]), max_new_tokens=20)[0, 3:].tolist()
    assert got == ours.tokens


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
