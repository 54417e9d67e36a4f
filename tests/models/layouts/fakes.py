"""Folders of tiny random models, theirs and ours, and what both say to the same tokens."""

from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from models.config import GPTConfig
from models.generate import generate
from models.gpt import GPT
from models.layouts.folder import export_files, read_folder
from tests.models.fakes import tiny_tokenizer

TOLERANCE = 1e-4
TOKENS = torch.randint(4, 300, (2, 32), generator=torch.Generator().manual_seed(0))
PROMPT = [5, 6, 7, 250, 8]

LLAMA = {
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
    "initializer_range": 0.3,
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
GPT2 = {
    "vocab_size": 300,
    "n_positions": 32,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "initializer_range": 0.3,
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
OPT = LLAMA | {"ffn_dim": 40, "init_std": 0.3, "word_embed_proj_dim": 32}


def imported(folder: Path) -> GPT:
    """Our model of a folder."""
    config, state = read_folder(lambda name: (folder / name).read_bytes(), [p.name for p in folder.iterdir()])
    return loaded(config, state)


def loaded(config: GPTConfig, state: dict[str, Tensor]) -> GPT:
    model = GPT(config)
    model.load_state_dict(state)
    return model.eval()


def exported(folder: Path, model: GPT, **options: int) -> Path:
    """The folder of our model."""
    folder.mkdir(exist_ok=True)
    for name, data in export_files(model, tiny_tokenizer(), **options).items():
        (folder / name).write_bytes(data)
    return folder


def theirs_of(folder: Path) -> Any:
    """transformers' model of a folder, which misses nothing and has nothing left over."""
    found: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    model, info = found
    assert not info["missing_keys"], info
    assert not info["unexpected_keys"], info
    return model.eval()


@torch.inference_mode()
def assert_same(ours: GPT, theirs: Any) -> None:
    """The same logits, and the same greedy text of 20 tokens."""
    ours.eval()
    logits = theirs(TOKENS).logits
    assert logits.std() > 0.05, "the model says too little for a difference to show"
    torch.testing.assert_close(ours(TOKENS), logits, rtol=0, atol=TOLERANCE)
    got = theirs.generate(torch.tensor([PROMPT]), max_new_tokens=20, do_sample=False, eos_token_id=1, pad_token_id=0)
    said = generate(ours, [PROMPT], max_new=20, temperature=0.0, stop_id=1, pad_id=0, keys=[(0,)])[0]
    assert got[0, len(PROMPT) :].tolist() == said.tokens


def saved(folder: Path, name: str, changes: dict[str, Any], **options: Any) -> Any:
    """A random model of a family, in the folder; every weight and bias counts."""
    base = {"GPT2": GPT2, "OPT": OPT}.get(name, LLAMA)
    config = getattr(transformers, f"{name}Config")(**(base | changes))
    torch.manual_seed(0)
    make: Any = transformers.AutoModelForCausalLM.from_config
    model = make(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn(parameter.shape))
    model.save_pretrained(folder, **options)
    return model
