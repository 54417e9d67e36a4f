"""Tiny models and a tokenizer of bytes for the tests of evaluation and export."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from models.checkpoint import save
from models.config import GPTConfig
from models.gpt import GPT, init_weights
from models.tokenizer import Tokenizer
from pipeline.stage import StageFolder

VOCABULARY = 260  # 4 special tokens and 256 bytes
CHOICES = [" cat", " mat", " the", " dog"]


class Bytes:
    """A tokenizer with one token a byte."""

    pad_id, end_id, user_id, assistant_id = 0, 1, 2, 3
    vocab_size = VOCABULARY

    def encode(self, text: str) -> list[int]:
        return [4 + b for b in text.encode()]

    def decode(self, ids: list[int]) -> str:
        return bytes(i - 4 for i in ids if i >= 4).decode(errors="replace")


def random_gpt(context: int = 64, seed: int = 0, vocab_size: int = VOCABULARY) -> GPT:
    """A model with sharp random predictions, so that an error of one position shows."""
    config = GPTConfig(vocab_size=vocab_size, context=context, layers=2, width=32, heads=2, hidden=64)
    model = GPT(config)
    init_weights(model, seed)
    with torch.no_grad():
        model.embedding.weight.mul_(20)
    return model.eval()


def uniform_gpt(context: int = 64, vocab_size: int = VOCABULARY) -> GPT:
    """A model that gives every token the same probability: its tied head is zero."""
    model = random_gpt(context, vocab_size=vocab_size)
    with torch.no_grad():
        model.embedding.weight.zero_()
    return model


def trained(vocab_size: int = 300) -> Tokenizer:
    """A real tokenizer of a few words."""
    return Tokenizer.train(["the cat sat on the mat and the dog saw the cat on the mat\n"] * 8, vocab_size)


def write_stage(
    run: str, stage: str, files: dict[str, bytes] | None = None, model: GPT | None = None, ended: bool = True
) -> StageFolder:
    """A stage's folder with these pieces and this model; its manifest only where it ended."""
    folder = StageFolder.open(run, stage, "fingerprint")
    for name, data in (files or {}).items():
        folder.write_bytes(name, data)
    if model is not None:
        facts = {"kind": "gpt", "config": model.config.model_dump()}
        save(folder.write_bytes, "model", model.state_dict(), facts)
    if ended:
        manifest = json.dumps({"stage": stage, "fingerprint": "f", "digest": "d", "content": {"counts": {}}})
        folder.storage.put(folder.key("manifest.json"), manifest.encode())
    return folder


def write_run(run: str, stages: tuple[str, ...] = ("pretrain",), items: int = 7) -> dict[str, StageFolder]:
    """A run with held-out text of two sources, items, a tokenizer and random models: what an evaluation reads."""
    words = ["the", "cat", "sat", "on", "the", "mat", "and", "the", "dog", "saw", "it"]
    documents = [
        {"id": f"{i:04x}", "source": ("plays", "chats")[i % 2], "text": " ".join(words[i % 5 :]) * 3, "meta": ""}
        for i in range(8)
    ]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(documents), sink)

    def item(kind: str, i: int) -> dict[str, object]:
        row = {"id": f"{kind}{i:03d}", "kind": kind, "source": "plays", "context": f"the cat {i}", "document": f"d{i}"}
        return {**row, "answer": " sat"} if kind == "cloze" else {**row, "choices": CHOICES, "answer": i % 4}

    def lines(rows: list[dict[str, object]]) -> bytes:
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)

    tokenizer = trained()
    shots = [item(kind, 900 + i) for kind in ("choice", "cloze") for i in range(4)]
    pieces = {f"items/{kind}.jsonl": lines([item(kind, i) for i in range(items)]) for kind in ("choice", "cloze")}
    pieces |= {"items/shots.jsonl": lines(shots), "heldout/00000.parquet": sink.getvalue().to_pybytes()}
    folders = {"corpus": write_stage(run, "corpus", pieces)}
    folders["tokens"] = write_stage(run, "tokens", {"tokenizer.json": tokenizer.to_json().encode()})
    for seed, stage in enumerate(stages):
        folders[stage] = write_stage(run, stage, model=random_gpt(seed=seed, vocab_size=tokenizer.vocab_size))
    return folders
