"""More tokens and fewer positions leave what the model says about the old ones."""

from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch
from tokenizers import decoders, pre_tokenizers, trainers
from tokenizers.models import BPE

from models.generate import generate
from models.layouts.fit import fit
from models.tokenizer import Tokenizer
from tests.models.fakes import TEXTS, tiny_model
from tests.models.layouts.fakes import imported, loaded, saved

LEARNED = {"positions": "learned", "norm": "layer", "activation": "gelu_tanh", "bias": True}


@pytest.mark.parametrize("changes", [{}, {"tie_embeddings": False}, LEARNED])
def test_old_logits_stay_and_new_ones_are_their_mean(changes: dict[str, Any]) -> None:
    model = tiny_model(**changes).eval()
    config, state = fit(model.config, model.state_dict(), vocab_size=310, context=16)
    assert (config.vocab_size, config.context) == (310, 16)
    wider = loaded(config, state)
    tokens = torch.arange(4, 20)[None]
    old, new = model(tokens), wider(tokens)
    torch.testing.assert_close(new[..., :300], old, rtol=0, atol=1e-5)
    mean = old.mean(-1, keepdim=True).expand(-1, -1, 10)
    torch.testing.assert_close(new[..., 300:], mean, rtol=0, atol=1e-5)
    assert wider(torch.tensor([[305]])).isfinite().all()


def test_a_pretrained_gpt2_goes_on_with_its_own_tokenizer(tmp_path: Path) -> None:
    """The whole way of a user: its folder, its tokenizer.json with our special tokens behind, the same greedy text."""
    reader = tokenizers.Tokenizer(BPE())
    reader.pre_tokenizer, reader.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=290, initial_alphabet=alphabet, show_progress=False)
    reader.train_from_iterator(TEXTS, trainer)
    reader.add_special_tokens(["<|endoftext|>"])  # the last id, as GPT-2's
    reader.save(str(tmp_path / "tokenizer.json"))
    size = reader.get_vocab_size()
    theirs = saved(tmp_path, "GPT2", {"vocab_size": size, "eos_token_id": reader.token_to_id("<|endoftext|>")})

    tokenizer = Tokenizer.imported("huggingface", (tmp_path / "tokenizer.json").read_bytes(), "<|endoftext|>")
    assert tokenizer.vocab_size == size + 3  # pad, user, assistant
    ours = imported(tmp_path)
    config, state = fit(ours.config, ours.state_dict(), tokenizer.vocab_size, context=32)
    model = loaded(config, state)
    text = "the cat sat on the"
    ids = reader.encode(text).ids
    assert tokenizer.encode(text) == ids
    made = theirs.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False, pad_token_id=0)[0, len(ids) :]
    said = generate(model, [ids], max_new=12, temperature=0.0, stop_id=tokenizer.end_id, pad_id=0, keys=[(0,)])[0]
    assert tokenizer.decode(said.tokens) == reader.decode(made.tolist())


def test_fewer_tokens_or_more_positions_are_refused() -> None:
    model = tiny_model()
    with pytest.raises(ValueError, match=r"model.vocab_size = 299: .* has 300 tokens.*Set 300 or more"):
        fit(model.config, model.state_dict(), vocab_size=299, context=32)
    with pytest.raises(ValueError, match=r"model.context = 64: .* sees 32 tokens.*Set 32 or less"):
        fit(model.config, model.state_dict(), vocab_size=300, context=64)
