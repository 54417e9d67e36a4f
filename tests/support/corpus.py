"""A tiny corpus: a few hundred small documents in the formats of the real sources, the same bytes each time.

It holds what real text holds: exact and near duplicates, a licence in every module, a table, another script, people
who talk alone, ratings of which many are the untouched default, broken UTF-8, a record that is too long.
"""

import json
import random
from pathlib import Path
from typing import Any

from pipeline.corpus.config import CorpusConfig

LONGEST_RECORD = 20_000
LICENCE = "\n".join(
    "# " + line
    for line in (
        "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and its",
        "documentation files, to deal in the software without restriction, including without limitation the rights to",
        "use, copy, modify, merge, publish and distribute copies, subject to the condition that this notice stays.",
    )
)
_ONSETS, _VOWELS, _ENDS = (
    ["b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "v", "w", "br", "cl", "st", "tr"],
    ["a", "e", "i", "o", "u", "ea"],
    ["", "n", "r", "st", "l"],
)


class Writer:
    """Draws words, sentences and texts. Words are few and uneven, so that a small model can learn something."""

    def __init__(self, seed: str) -> None:
        shared = random.Random("words")
        made = {"".join(map(shared.choice, (_ONSETS, _VOWELS, _ENDS, _ONSETS, _VOWELS, _ENDS))) for _ in range(500)}
        self.words = sorted(made, key=lambda word: (len(word), word))
        self.weights = [1 / (rank + 5) for rank in range(len(self.words))]
        self.random = random.Random(seed)

    def sentence(self, low: int = 5, high: int = 12) -> str:
        words = self.random.choices(self.words, self.weights, k=self.random.randint(low, high))
        return " ".join(words).capitalize() + self.random.choice(".....?!")

    def text(self, sentences: int) -> str:
        return " ".join(self.sentence() for _ in range(sentences))

    def change(self, text: str, words: int) -> str:
        """The text with so many words replaced, far from each other."""
        parts = text.split(" ")
        for i in range(words):
            parts[(2 * i + 1) * len(parts) // (2 * words)] = self.random.choice(self.words)
        return " ".join(parts)


def write(folder: Path) -> list[dict[str, str]]:
    """Write the files of all sources below a folder; the sources as a config names them."""
    made = {"plays": _plays, "chats": _chats, "code": _code, "docs": _docs, "questions": _questions, "notes": _notes}
    sources = []
    for name, maker in made.items():
        path = folder / name
        path.mkdir(parents=True, exist_ok=True)
        maker(path, Writer(name))
        sources.append({"name": name, "kind": "jsonl" if name == "notes" else name, "path": str(path)})
    return sources


def config(folder: Path, **changes: Any) -> CorpusConfig:
    """The config of a corpus stage over ``write(folder)``."""
    return CorpusConfig.model_validate({**values(folder), **changes})


def values(folder: Path) -> dict[str, Any]:
    """The same as plain data, as a recipe has it."""
    items = {"per_kind": 40, "shots": 8, "min_words": 30, "max_words": 40, "answer_words": 8, "common_words": 20}
    return {
        "sources": write(folder),
        "max_record_bytes": LONGEST_RECORD,
        "pieces": 3,
        "heldout": 0.06,
        "heldout_documents": 4,
        "group_bytes": 40_000,
        "items": items,
    }


def _plays(folder: Path, say: Writer) -> None:
    for play in range(6):
        lines = [f"# Play {play}", ""]
        for scene in range(8):
            if scene % 4 == 0:
                lines += [f"## ACT {scene // 4 + 1}", ""]
            lines += [f"### SCENE {scene % 4 + 1}. A {say.random.choice(say.words)}.", "", "_Enter two people_", ""]
            for turn in range(14):
                lines += [f"**{('ANNA', 'BORIS')[turn % 2]}**  ", *(say.sentence() + "  " for _ in range(2)), ""]
        (folder / f"play-{play}.md").write_text("\n".join(lines))


def _chats(folder: Path, say: Writer) -> None:
    chats = {}
    for number in range(110):
        alone, default = number % 10 == 0, number % 3 == 0
        turns = []
        for turn in range(say.random.randint(4, 9)):
            sender = "anna" if alone or turn % 2 == 0 else "boris"
            texts = [say.sentence(3, 9) for _ in range(say.random.randint(1, 2))]
            turns.append([{"text": text, "sender": sender, "timestamp": str(turn)} for text in texts])
        chats[f"chat-{number}"] = {"messages": turns, "start": str(number), "prompt": say.sentence()}
        if number % 7:
            length = sum(len(message["text"]) for turn in turns for message in turn)
            mark = 5 if default else 1 + length % 5
            chats[f"chat-{number}"]["ratings"] = {"witty": mark, "upbeat": mark, "interesting": mark}
    chats["chat-again"] = {**chats["chat-1"], "start": "again"}  # the same text in another record
    (folder / "dataset.json").write_text(json.dumps(chats, indent=1))


def _code(folder: Path, say: Writer) -> None:
    modules = []
    for _ in range(30):
        parts = [LICENCE, "", f'"""{say.sentence()}"""', ""]
        for _ in range(say.random.randint(3, 7)):
            name, value = say.random.sample(say.words, 2)
            body = [
                f"    {value} = {name}.{say.random.choice(say.words)}({say.random.randint(0, 9)})  # {say.sentence()}"
            ]
            parts += [f"def {name}({value}):", f'    """{say.text(3)}"""', *body, f"    return {value}", "", ""]
        modules.append("\n".join(parts))
    modules += [say.change(modules[i], 2) for i in range(4)] + [modules[5]]
    modules.append(
        "\n".join(f"    0x{i:02x}: 0x{i * 7:04x},  # {say.random.choice(say.words)} sign" for i in range(80))
    )
    for number, text in enumerate(modules):
        (folder / f"module_{number:02d}.py").write_text(text)
    (folder / "broken.py").write_bytes(b"# latin-1: caf\xe9\nprint(1)\n")


def _docs(folder: Path, say: Writer) -> None:
    topics = {f"topic {i}": f"About {say.words[i]}\n\n{say.text(25)}\n\n{say.text(20)}" for i in range(24)}
    (folder / "topics.py").write_text(f"# Generated\ntopics = {topics!r}\n")


def _questions(folder: Path, say: Writer) -> None:
    for language, files in (("english", 6), ("russian", 1)):
        (folder / language).mkdir(exist_ok=True)
        for number in range(files):
            lines = ["categories:", f"- topic {number}", "conversations:"]
            for _ in range(24):
                asked, answer = say.sentence(4, 8)[:-1] + "?", say.sentence(5, 9)
                if language == "russian":
                    asked, answer = "Что это такое, скажи мне?", "Это просто вопрос без ответа."
                lines += [f"- - {json.dumps(asked)}", f"  - {json.dumps(answer)}"]
            (folder / language / f"file-{number}.yml").write_text("\n".join(lines) + "\n")


def _notes(folder: Path, say: Writer) -> None:
    texts = [say.text(say.random.randint(8, 20)) for _ in range(60)]
    texts += [texts[0], texts[1], *(say.change(texts[i], 1) for i in range(2, 6))]
    lines = [json.dumps({"text": text, "number": i}).encode() for i, text in enumerate(texts)]
    lines += [b'{"text": "broken \xff\xfe bytes"}', b"not json", b'{"title": "no text"}']
    lines.append(json.dumps({"text": "too long " * LONGEST_RECORD}).encode())
    half = len(lines) // 2
    (folder / "a.jsonl").write_bytes(b"\n".join(lines[:half]) + b"\n")
    (folder / "b.jsonl").write_bytes(b"\n".join(lines[half:]))
