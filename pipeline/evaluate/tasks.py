"""Evaluation items and the token requests made from them: zero-shot and few-shot. Knows no model.

A multiple-choice item has a context and some continuations, one of them right; a cloze item has a context and the one
word that follows it. Context and continuation are encoded apart, so a score is always of exactly the given text.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Kind = Literal["choice", "cloze"]
KINDS: tuple[Kind, ...] = ("choice", "cloze")
SEPARATOR = "\n\n"  # between the solved examples of a few-shot prompt


class Encoder(Protocol):
    """What is needed of a tokenizer here."""

    @property
    def end_id(self) -> int: ...

    def encode(self, text: str, /) -> list[int]: ...


@dataclass(frozen=True)
class Item:
    """One question. `continuations[answer]` is right; a cloze item has that one only."""

    id: str
    kind: Kind
    source: str
    context: str
    continuations: tuple[str, ...]
    answer: int
    document: str

    def solved(self, words: int) -> str:
        """The last words of the context with the right answer: a short example to learn from."""
        starts = [found.start() for found in re.finditer(r"\S+", self.context)][-words:]
        return self.context[starts[0] if starts else 0 :] + self.continuations[self.answer]


@dataclass(frozen=True)
class Request:
    """An item in tokens. `cut` counts the context tokens that did not fit, taken from the left."""

    item: Item
    context: list[int]
    continuations: list[list[int]]
    shots: int
    cut: int


def parse(row: Mapping[str, Any]) -> Item:
    """An item from its row in ``items/*.jsonl``."""
    answer = row["answer"]
    if row["kind"] == "choice":
        words, index = tuple(row["choices"]), int(answer)
        assert 0 <= index < len(words), f"item {row['id']}: answer {index} of {len(words)} choices"
    else:
        words, index = (str(answer),), 0
    return Item(row["id"], row["kind"], row["source"], row["context"], words, index, row["document"])


def of_kind(rows: Iterable[Mapping[str, Any]], kind: Kind, limit: int | None = None) -> list[Item]:
    """The items of one kind in order of id, at most `limit`."""
    return sorted((parse(r) for r in rows if r["kind"] == kind), key=lambda item: item.id)[:limit]


def choose_shots(item: Item, pool: Sequence[Item], count: int, seed: int) -> list[Item]:
    """`count` examples for one item: its own draw from the pool, never from the item's own document."""

    def draw(shot: Item) -> str:
        return hashlib.sha256(f"{seed}/{item.id}/{shot.id}".encode()).hexdigest()

    others = [s for s in pool if s.document != item.document and s.id != item.id]
    return sorted(others, key=draw)[:count]


def fit(context: list[int], continuations: Sequence[Sequence[int]], window: int) -> tuple[list[int], int]:
    """The end of the context that fits a window of `window` input tokens beside the longest continuation.

    The last token of a continuation is predicted, never read, so it takes no room. At least one context token stays.
    Returns the context and the count of tokens cut. Raises ValueError where a continuation leaves no room for it.
    """
    room = window - max(len(c) for c in continuations) + 1
    if room < 1:
        raise ValueError(f"a continuation is longer than the window of {window} tokens")
    return context[-room:], max(0, len(context) - room)


def make_request(item: Item, shots: Sequence[str], encoder: Encoder, window: int) -> Request:
    """The request of an item after the texts of solved examples. It begins like a document, after an end token.

    The examples share half of the window equally and lose their left side beyond that; the item's context gives way to
    them, also on the left. They are left out, all of them, where less than a quarter of the window would stay for the
    context. Raises ValueError as `fit`.
    """
    continuations = [encoder.encode(c) for c in item.continuations]
    question = encoder.encode(item.context)
    gap = encoder.encode(SEPARATOR)
    before = [encoder.end_id]
    for shot in shots:
        before += encoder.encode(shot)[-max(1, window // (2 * len(shots)) - len(gap)) :] + gap
    room = window - len(before) - max(len(c) for c in continuations) + 1
    if shots and room >= min(len(question), window // 4):
        cut = max(0, len(question) - room)
        return Request(item, before + question[cut:], continuations, len(shots), cut)
    context, cut = fit([encoder.end_id, *question], continuations, window)
    return Request(item, context, continuations, 0, cut)
