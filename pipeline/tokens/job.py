"""Runs the tokens stage: the tokeniser is trained in the driver, the text is encoded by Ray Data, a piece a task."""

import json
from functools import partial
from typing import Any

import pyarrow as pa
import ray.data

from cluster.errors import FirstlightError
from models.tokenizer import Tokenizer
from pipeline.corpus import failure
from pipeline.stage import StageContext, StageFolder
from pipeline.tokens import train
from pipeline.tokens.encode import SPLITS, encode, merge
from pipeline.tokens.order import Order


def run(ctx: StageContext) -> None:
    """Train the tokeniser, encode all text, and say what the mixture will be."""
    if not ctx.folder.done("tokenizer.json"):
        _train(ctx)
    index = _encode(ctx)
    ctx.folder.write_json("index.json", index)
    ctx.folder.write_json("mixture.json", _mixture(ctx, index["train"]))
    ctx.count(
        vocabulary=Tokenizer.load(ctx.folder.read_bytes("tokenizer.json").decode()).vocab_size,
        tokens={split: sum(facts["tokens"] for facts in sources.values()) for split, sources in index.items()},
    )


def _train(ctx: StageContext) -> None:
    config, corpus = ctx.config.tokens, ctx.inputs["corpus"]
    size = min(config.sample_bytes, train.size(corpus)) / 1e6
    with ctx.progress("training the tokeniser", size, "MB") as bar:

        def texts() -> Any:
            for text in train.sample(corpus, config.sample_bytes):
                bar.advance(len(text) / 1e6)
                yield text

        tokenizer = Tokenizer.train(texts(), config.vocab_size)
    ctx.folder.write_bytes("tokenizer.json", tokenizer.to_json().encode())


def _encode(ctx: StageContext) -> dict[str, dict[str, dict[str, Any]]]:
    corpus = ctx.inputs["corpus"]
    pieces = {split: corpus.pieces(f"{prefix}/") for split, prefix in SPLITS.items()}
    names = {
        (split, piece): f"work/index/{split}-{i:05d}.json" for split, ps in pieces.items() for i, piece in enumerate(ps)
    }
    documents = {piece: _rows(corpus, piece) for _, piece in names}
    missing = [key for key, name in names.items() if not ctx.folder.done(name)]
    with ctx.progress("encoding", sum(documents.values()), "documents") as bar:
        bar.advance(sum(documents.values()) - sum(documents[piece] for _, piece in missing))
        if missing:
            rows = [{"arguments": json.dumps([*key, names[key]])} for key in missing]
            do = partial(_do, folder=ctx.folder, corpus=corpus)
            done = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
                do, batch_size=1, batch_format="pyarrow", num_cpus=ctx.config.tokens.task_cpus
            )
            for row in done.iter_rows():
                if row["error"]:
                    raise failure.unpack(row["error"])
                bar.advance(row["documents"])
    return {
        split: merge([ctx.folder.read_json(names[split, piece]) for piece in found]) for split, found in pieces.items()
    }


def _rows(corpus: StageFolder, piece: str) -> int:
    record = corpus.record(piece)
    assert record is not None
    return int(record["rows"])


def _do(batch: pa.Table, folder: StageFolder, corpus: StageFolder) -> pa.Table:
    """One task: encode a piece, and say how many documents it holds, or what was wrong."""
    (row,) = batch.to_pylist()
    split, piece, name = json.loads(row["arguments"])
    documents, error = 0, ""
    try:
        documents = encode(folder, corpus, split, piece, name)
    except FirstlightError as caught:
        error = failure.pack(caught)
    return pa.table({"documents": [documents], "error": [error]})


def _mixture(ctx: StageContext, train_index: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What the order asks of each source and gets, for as many tokens as the training text has."""
    config = ctx.config.tokens
    lengths = {source: facts["tokens"] for source, facts in train_index.items()}
    weights = {source: config.weights.get(source, 1.0) for source in lengths}
    total = sum(lengths.values())
    order = Order(lengths, weights, config.temperature, total, seed=0, max_epochs=config.max_epochs)
    shares = {s: {"tokens": n, "natural": n / total} | order.got()[s] for s, n in lengths.items()}
    rounded = {
        s: {k: round(v, 6) if isinstance(v, float) else v for k, v in facts.items()} for s, facts in shares.items()
    }
    return {
        "weights": weights,
        "temperature": config.temperature,
        "max_epochs": config.max_epochs,
        "total": total,
        "sources": rounded,
    }
