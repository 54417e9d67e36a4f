"""A corpus of a few pieces as the corpus stage leaves it, in two languages, and loops in the place of Ray."""

import json
from pathlib import Path

from pipeline import rows
from pipeline.corpus import tables
from pipeline.rows import Row
from pipeline.stage import StageFolder
from pipeline.tokens import counts
from pipeline.tokens.config import TokensConfig
from pipeline.tokens.train import train
from tests.support.corpus import Writer

CHINESE = "她们在公园里散步。公园很大，她们很高兴。天气很好。"


def documents(count: int = 60) -> list[Row]:
    say = Writer("words")
    made = []
    for i in range(count):
        source, text, meta = "plays", say.text(6), {"language": "en"}
        if i % 3 == 1:
            source, text, meta = "code", f"def walk_{i}(x):\n    return x + {i}\n\n\n# {say.sentence()}\n", {}
        if i % 3 == 2:
            source, text, meta = "notes", CHINESE[i % 9 :] + say.sentence(), {"signals": {"language": "zh"}}
        made.append(Row(id=rows.document_id(source, str(i).encode()), source=source, text=text, meta=json.dumps(meta)))
    return made


def write_corpus(run: Path, pieces: int, made: list[Row]) -> StageFolder:
    folder = StageFolder.open(str(run), "corpus", "f")
    for number in range(pieces):
        part = [row for row in made if rows.piece_of(row["id"], pieces) == number]
        folder.write_table(rows.piece("kept", number), tables.by_id(tables.documents(part)))
    return folder


def make(run: Path, corpus: StageFolder, config: TokensConfig) -> StageFolder:
    """What the stage's tasks make, up to the tokeniser."""
    folder = StageFolder.open(str(run), "tokens", "f")
    pieces, parts = corpus.pieces("kept/"), config.count_parts
    for number, piece in enumerate(pieces):
        counts.count(folder, corpus, piece, number, config.sample, parts)
    for part in range(parts):
        counts.add_up(folder, part, parts, len(pieces), config.max_words)
    train(folder, config, len(pieces))
    return folder
