"""Runs the tokens stage: words are counted, and text is encoded, by tasks on Ray; the driver only adds up."""

from collections.abc import Callable
from functools import partial
from typing import Any

from cluster.data import Task, run_tasks
from pipeline.stage import StageContext, StageFolder
from pipeline.tokens import counts, train
from pipeline.tokens.encode import SPLITS, encode, merge
from pipeline.tokens.order import mixture
from pipeline.tokens.pieces import TOKENIZER, load_tokenizer


def run(ctx: StageContext) -> None:
    """Make the tokeniser, encode all text, and say what the mixture will be."""
    if not ctx.folder.done(TOKENIZER):
        _make_tokenizer(ctx)
    if ctx.folder.done(counts.FACTS):
        ctx.count(words=ctx.folder.read_json(counts.FACTS))
    index = _encode(ctx)
    ctx.folder.write_json("index.json", index)
    config = ctx.config.tokens
    tokens = {source: facts["tokens"] for source, facts in index["train"].items()}
    asked = config.weights, config.temperature, config.max_epochs, config.budgets, config.epochs
    ctx.folder.write_json("mixture.json", mixture(tokens, *asked))
    ctx.count(
        vocabulary=load_tokenizer(ctx.folder).vocab_size,
        tokens={split: sum(facts["tokens"] for facts in sources.values()) for split, sources in index.items()},
    )


def _make_tokenizer(ctx: StageContext) -> None:
    """Take it from a file; or count words piece by piece, add them up part by part, train on the most frequent."""
    config, corpus, folder = ctx.config.tokens, ctx.inputs["corpus"], ctx.folder
    if config.file:
        train.take(folder, config)
        return
    pieces, parts = corpus.pieces("kept/"), config.count_parts
    count = [
        Task(counts.counted(i, parts), {"piece": piece, "number": i}, _rows(corpus, piece))
        for i, piece in enumerate(pieces)
    ]
    do = partial(counts.count, folder, corpus, sample=config.sample, parts=parts)
    _run(ctx, "counting words", do, count, "documents")
    add_up = [Task(counts.added(part, parts), {"part": part}, 1) for part in range(parts)]
    do = partial(counts.add_up, folder, parts=parts, pieces=len(pieces), most=config.max_words)
    _run(ctx, "adding up words", do, add_up, "parts")
    make = Task(TOKENIZER, {"pieces": len(pieces)}, config.vocab_size)
    _run(ctx, "training the tokeniser", partial(train.train, folder, config), [make], "tokens")


def _encode(ctx: StageContext) -> dict[str, dict[str, dict[str, Any]]]:
    corpus = ctx.inputs["corpus"]
    tasks: dict[str, list[Task]] = {split: [] for split in SPLITS}
    for split, prefix in SPLITS.items():
        for i, piece in enumerate(corpus.pieces(f"{prefix}/")):
            name = f"work/index/{split}-{i:05d}.json"
            arguments = {"split": split, "piece": piece, "name": name}
            tasks[split].append(Task(name, arguments, _rows(corpus, piece)))
    everything = [task for part in tasks.values() for task in part]
    _run(ctx, "encoding", partial(encode, ctx.folder, corpus), everything, "documents")
    return {split: merge([ctx.folder.read_json(task.name) for task in part]) for split, part in tasks.items()}


def _run(ctx: StageContext, label: str, work: Callable[..., int], tasks: list[Task], unit: str) -> None:
    with ctx.progress(label, sum(task.weight for task in tasks), unit) as bar:
        run_tasks(partial(_do, work=work), tasks, ctx.folder.done, ctx.config.tokens.task_cpus, bar)


def _do(work: Callable[..., int], **arguments: Any) -> dict[str, float]:
    """One task. The bar counts documents already, so there is no number to add."""
    work(**arguments)
    return {}


def _rows(corpus: StageFolder, piece: str) -> int:
    record = corpus.record(piece)
    assert record is not None
    return int(record["rows"])
