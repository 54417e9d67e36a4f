"""A tiny run for the alignment stages: made-up chats with ratings, a tokenizer, and models with random weights."""

import random
from typing import Any

import pyarrow as pa
import torch

from models import checkpoint
from models.config import GPTConfig
from models.gpt import GPT, init_weights
from models.heads import ScalarModel
from models.tokenizer import Tokenizer
from pipeline.rows import document_id, pack_meta
from pipeline.stage import StageFolder

CONTEXT = 64
LINE = "hello there you like walk in the rain and read old books about ships do not see any of it today"
WORDS = LINE.split()


def chat(seed: int) -> dict[str, Any]:
    """A chat of 1 to 7 turns; longer ones are rated higher, some hold the form's default."""
    draw = random.Random(seed)
    said = [
        " ".join(draw.choices(WORDS, k=draw.randint(2, 9))) + draw.choice(".?!,") for _ in range(draw.randint(1, 7))
    ]
    turns = [{"who": i % 2, "text": text} for i, text in enumerate(said)]
    rating = 5 if seed % 3 == 0 else min(10, len(turns) + draw.randint(0, 3))
    return {"turns": turns, "ratings": dict.fromkeys(("witty", "upbeat", "interesting"), rating)}


def rows(first: int, count: int) -> list[dict[str, str]]:
    """Corpus rows of chats, and one in eight a question with two answers."""
    made = []
    for seed in range(first, first + count):
        if seed % 8 == 7:
            language = "english" if seed % 16 == 7 else "german"
            texts = [(0, f"what is {WORDS[seed % 20]}?"), (1, "a word."), (1, f"word number {seed}.")]
            meta = {"turns": [{"who": who, "text": text} for who, text in texts], "language": language}
        else:
            meta = chat(seed)
        packed = pack_meta(**meta)
        source = "questions" if "language" in meta else "chats"
        made.append({"id": document_id(source, packed.encode()), "source": source, "text": "", "meta": packed})
    return sorted(made, key=lambda row: row["id"])


def write_inputs(run: str, kept: int = 200, heldout: int = 60) -> Tokenizer:
    """The folders of corpus and tokens."""
    corpus = StageFolder.open(run, "corpus", "f")
    corpus.write_table("kept/00000.parquet", pa.Table.from_pylist(rows(0, kept)))
    corpus.write_table("heldout/00000.parquet", pa.Table.from_pylist(rows(kept, heldout)))
    tokenizer = Tokenizer.train([" ".join(WORDS)] * 3, 300)
    StageFolder.open(run, "tokens", "f").write_bytes("tokenizer.json", tokenizer.to_json().encode())
    return tokenizer


def shape(tokenizer: Tokenizer) -> GPTConfig:
    """A model that steps in milliseconds."""
    return GPTConfig(vocab_size=tokenizer.vocab_size, context=CONTEXT, layers=1, width=16, heads=2, hidden=32)


def write_gpt(run: str, stage: str, config: GPTConfig, seed: int = 3) -> GPT:
    """A language model with random weights as a stage's result."""
    model = GPT(config)
    init_weights(model, seed)
    write_model(run, stage, model, {"kind": "gpt", "config": config.model_dump()})
    return model.eval()


def write_reward(run: str, config: GPTConfig) -> ScalarModel:
    """A reward model with random weights, and an accuracy that does not beat length."""
    torch.manual_seed(0)
    model = ScalarModel(config)
    init_weights(model, 5)
    write_model(run, "reward", model, {"kind": "scalar", "config": config.model_dump(), "max_tokens": 32})
    StageFolder.open(run, "reward", "f").write_json("accuracy.json", {"beats_length": False})
    return model.eval()


def write_model(run: str, stage: str, model: torch.nn.Module, facts: dict[str, Any]) -> None:
    """Weights and their facts, as a training stage writes them."""
    folder = StageFolder.open(run, stage, "f")
    checkpoint.save(lambda key, data: folder.write_bytes(key, data), "model", model.state_dict(), facts)
