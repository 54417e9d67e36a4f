"""What an evaluation scores, in pieces of work that the config fixes. Knows no Ray.

Piece i is a function of (config, model, corpus, tokenizer, i). Each item and each window in it runs alone, so the
pieces may be done anywhere and in any order.
"""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from cluster.errors import UserError
from models.gpt import GPT
from models.tokenizer import Tokenizer
from pipeline.evaluate import score, summary
from pipeline.evaluate.config import EvaluateConfig
from pipeline.evaluate.perplexity import Excerpt, Window, excerpt, window_nats, windows
from pipeline.evaluate.tasks import KINDS, Item, Kind, choose_shots, make_request, of_kind
from pipeline.stage import StageFolder
from pipeline.tokens.pieces import load_tokenizer


@dataclass(frozen=True)
class Sources:
    """Where the material comes from; `context` is that of the model, in tokens. Plain data, so it travels."""

    corpus: StageFolder
    tokens: StageFolder
    config: EvaluateConfig
    context: int
    seed: int


@dataclass(frozen=True)
class Chunk:
    """Members first .. last - 1 of one list: the windows, or the items of a kind with so many shots before them."""

    kind: Kind | None  # None: windows of held-out text
    shots: int
    index: int
    first: int
    last: int

    @property
    def piece(self) -> str:
        """Where its rows are kept."""
        name = f"{self.kind}-{self.shots}" if self.kind else "text"
        return f"scores/{name}/{self.index:05d}.jsonl"


@dataclass(frozen=True)
class Material:
    """All that is scored, the same for each of the three models."""

    config: EvaluateConfig
    seed: int
    context: int
    tokenizer: Tokenizer
    excerpts: list[Excerpt]
    windows: list[Window]
    items: dict[Kind, list[Item]]
    pool: dict[Kind, list[Item]]

    def settings(self) -> list[tuple[Kind, int]]:
        """Kinds of item and numbers of shots: zero-shot, then few-shot."""
        return [(kind, shots) for kind in KINDS for shots in (0, self.config.shots)]

    def chunks(self) -> list[Chunk]:
        """All pieces of work, the longest ones first, so that no worker is left with a long one at the end."""
        made = _split(None, 0, len(self.windows), self.config.chunk_windows)
        for kind, shots in sorted(self.settings(), key=lambda setting: -setting[1]):
            made += _split(kind, shots, len(self.items[kind]), self.config.chunk_items)
        return made

    def rows(self, model: GPT, chunk: Chunk) -> list[dict[str, Any]]:
        """Score one piece of work."""
        if chunk.kind is None:
            return [self._window(model, w) for w in self.windows[chunk.first : chunk.last]]
        return [self._item(model, i, chunk.shots) for i in self.items[chunk.kind][chunk.first : chunk.last]]

    def _window(self, model: GPT, window: Window) -> dict[str, Any]:
        tokens = next(e.tokens for e in self.excerpts if e.source == window.source)
        nats = window_nats(model, tokens, window)
        return {"source": window.source, "first": window.first, "tokens": window.scored, "nats": nats}

    def _item(self, model: GPT, item: Item, shots: int) -> dict[str, Any]:
        chosen = choose_shots(item, self.pool[item.kind], shots, self.seed)
        examples = [shot.solved(self.config.shot_words) for shot in chosen]
        try:
            request = make_request(item, examples, self.tokenizer, self.context)
        except ValueError as error:
            return {"id": item.id, "source": item.source, "too_long": str(error)}
        return score.outcome(request, score.continuations(model, request.context, request.continuations))

    def results(self, rows: dict[Chunk, list[dict[str, Any]]]) -> dict[str, Any]:
        """The content of `results.json` from the rows of all pieces, in the order of the lists."""
        ordered = sorted(rows, key=lambda c: (c.kind or "", c.shots, c.index))

        def of(kind: Kind | None, shots: int) -> list[dict[str, Any]]:
            return [row for c in ordered if (c.kind, c.shots) == (kind, shots) for row in rows[c]]

        tasks: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
        for kind, shots in self.settings():
            tasks[kind][str(shots)] = summary.task(of(kind, shots), self.items[kind], kind)
        return {"text": summary.text(of(None, 0), self.excerpts), "tasks": tasks}


def _split(kind: Kind | None, shots: int, members: int, size: int) -> list[Chunk]:
    starts = range(0, members, size)
    return [Chunk(kind, shots, i, lo, min(lo + size, members)) for i, lo in enumerate(starts)]


def excerpts(corpus: StageFolder, tokenizer: Tokenizer, cap: int) -> list[Excerpt]:
    """The scored text of each source, by name. Raises UserError where no text was held out."""
    tables = [corpus.read_table(piece).select(["id", "source", "text"]) for piece in corpus.pieces("heldout/")]
    documents: dict[str, list[tuple[str, str]]] = {}
    for row in pa.concat_tables(tables).to_pylist() if tables else []:
        documents.setdefault(row["source"], []).append((row["id"], row["text"]))
    if not documents:
        raise UserError(
            "corpus", "no held-out text", "an evaluation needs some", "Hold out a larger share, or add text"
        )
    return [excerpt(source, documents[source], tokenizer, cap) for source in sorted(documents)]


def load_material(sources: Sources) -> Material:
    """Read held-out text, items and tokenizer."""
    config, corpus = sources.config, sources.corpus
    tokenizer = load_tokenizer(sources.tokens)
    texts = excerpts(corpus, tokenizer, config.heldout_bytes)
    stride = max(1, int(sources.context * config.stride))
    made = [w for e in texts for w in windows(e.source, len(e.tokens), sources.context, stride)]
    rows = [row for kind in KINDS for row in corpus.read_jsonl(f"items/{kind}.jsonl")]
    pool = corpus.read_jsonl("items/shots.jsonl")
    return Material(
        config=config,
        seed=sources.seed,
        context=sources.context,
        tokenizer=tokenizer,
        excerpts=texts,
        windows=made,
        items={kind: of_kind(rows, kind, config.items) for kind in KINDS},
        pool={kind: of_kind(pool, kind) for kind in KINDS},
    )
