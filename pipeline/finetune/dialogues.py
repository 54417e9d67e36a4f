"""Conversations of the corpus as turns of a user and an assistant. Knows no tokens, no model and no loss.

Who speaks first is the user, and who answers is the assistant: every assistant turn then answers something, and a chat
that ends with the user loses that last turn. Questions with several answers become one dialogue for each answer.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from models.chat import Turn
from pipeline.stage import StageFolder


@dataclass(frozen=True)
class Dialogue:
    """Turns that begin with the user and take turns; `ratings` are the people's own, by name, where they gave any."""

    id: str
    source: str
    turns: tuple[Turn, ...]
    ratings: tuple[tuple[str, float], ...] = ()

    @property
    def answered(self) -> tuple[Turn, ...]:
        """The turns up to the assistant's last one."""
        return self.turns[: len(self.turns) // 2 * 2]


def read(
    folder: StageFolder, split: str, sources: Collection[str], languages: Collection[str] = ()
) -> tuple[list[Dialogue], Counter[str]]:
    """Dialogues of ``kept`` or ``heldout``, sorted by id, and how many documents were passed over for which reason."""
    found: list[Dialogue] = []
    passed: Counter[str] = Counter()
    for identity, source, meta in _rows(folder, split, sources):
        if not meta.get("turns"):
            passed["no turns"] += 1
        elif languages and str(meta.get("language", "")).lower() not in {"", *languages}:
            passed["language"] += 1
        else:
            made = parse(identity, source, meta)
            found += made
            passed["no answer"] += not made
    return sorted(found, key=lambda d: d.id), +passed


def _rows(folder: StageFolder, split: str, sources: Collection[str]) -> Iterator[tuple[str, str, dict[str, object]]]:
    for piece in folder.pieces(f"{split}/"):
        table = folder.read_table(piece)
        columns = (table.column(name).to_pylist() for name in ("id", "source", "meta"))
        for identity, source, meta in zip(*columns, strict=True):
            if source in sources:
                yield identity, source, json.loads(meta) if meta else {}


def parse(identity: str, source: str, meta: dict[str, object]) -> list[Dialogue]:
    """The dialogues of one document: none where nobody answers, several where a question has several answers."""
    turns = meta["turns"]
    assert isinstance(turns, list)
    said = [(int(t["who"]), str(t["text"]).strip()) for t in turns if str(t["text"]).strip()]
    rated = _ratings(meta.get("ratings"))
    if "language" in meta:
        question = " ".join(text for who, text in said if who == 0)
        answers = [text for who, text in said if who != 0]
        pairs = [(Turn("user", question), Turn("assistant", answer)) for answer in answers if question]
        return [Dialogue(f"{identity}/{i:03d}", source, pair) for i, pair in enumerate(pairs)]
    merged: list[tuple[int, str]] = []
    for who, text in said:
        if merged and merged[-1][0] == who:
            merged[-1] = (who, f"{merged[-1][1]}\n{text}")
        else:
            merged.append((who, text))
    chat = tuple(Turn("assistant" if i % 2 else "user", text) for i, (_, text) in enumerate(merged))
    return [Dialogue(identity, source, chat, rated)] if len(chat) >= 2 else []


def _ratings(found: object) -> tuple[tuple[str, float], ...]:
    """Ratings as the data set gives them: by name, or by rater and name; several raters are averaged."""
    if not isinstance(found, dict) or not found:
        return ()
    raters = list(found.values()) if all(isinstance(v, dict) for v in found.values()) else [found]
    names = sorted({name for rater in raters for name in rater})
    given = {name: [float(rater[name]) for rater in raters if rater.get(name) is not None] for name in names}
    return tuple((name, sum(values) / len(values)) for name, values in given.items() if values)
