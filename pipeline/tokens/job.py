"""Runs the tokens stage: the tokeniser is trained in the driver, the text is encoded by Ray Data, a piece a task."""

from functools import partial
from typing import Any

from cluster.data import Task, run_tasks
from models.tokenizer import Tokenizer
from pipeline.stage import StageContext, StageFolder
from pipeline.tokens import train
from pipeline.tokens.encode import SPLITS, encode, merge
from pipeline.tokens.order import Order
from pipeline.tokens.pieces import TOKENIZER, load_tokenizer


def run(ctx: StageContext) -> None:
    """Train the tokeniser, encode all text, and say what the mixture will be."""
    if not ctx.folder.done(TOKENIZER):
        _train(ctx)
    index = _encode(ctx)
    ctx.folder.write_json("index.json", index)
    ctx.folder.write_json("mixture.json", _mixture(ctx, index["train"]))
    ctx.count(
        vocabulary=load_tokenizer(ctx.folder).vocab_size,
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
    ctx.folder.write_bytes(TOKENIZER, tokenizer.to_json().encode())


def _encode(ctx: StageContext) -> dict[str, dict[str, dict[str, Any]]]:
    corpus = ctx.inputs["corpus"]
    tasks: dict[str, list[Task]] = {split: [] for split in SPLITS}
    for split, prefix in SPLITS.items():
        for i, piece in enumerate(corpus.pieces(f"{prefix}/")):
            name = f"work/index/{split}-{i:05d}.json"
            arguments = {"split": split, "piece": piece, "name": name}
            tasks[split].append(Task(name, arguments, _rows(corpus, piece)))
    everything = [task for part in tasks.values() for task in part]
    with ctx.progress("encoding", sum(task.weight for task in everything), "documents") as bar:
        do = partial(_do, ctx.folder, corpus)
        run_tasks(do, everything, ctx.folder.done, ctx.config.tokens.task_cpus, bar)
    return {split: merge([ctx.folder.read_json(task.name) for task in part]) for split, part in tasks.items()}


def _rows(corpus: StageFolder, piece: str) -> int:
    record = corpus.record(piece)
    assert record is not None
    return int(record["rows"])


def _do(folder: StageFolder, corpus: StageFolder, split: str, piece: str, name: str) -> dict[str, float]:
    """One task: encode a piece. The bar counts documents already, so there is no number to add."""
    encode(folder, corpus, split, piece, name)
    return {}


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
