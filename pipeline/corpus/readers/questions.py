"""Questions and answers of chatterbot-corpus: YAML files, in a folder for each language."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import yaml

from pipeline.corpus.inflate import Stream
from pipeline.corpus.locate import Unit, language_of
from pipeline.corpus.readers import trees
from pipeline.corpus.readers.config import Source
from pipeline.corpus.readers.trees import Said
from pipeline.corpus.records import Raw
from pipeline.rows import Turn

DEEPEST = 100  # levels of lists and mappings


def read(source: Source, stream: Stream, unit: Unit, limit: int) -> Iterator[Raw]:
    """A document for each conversation, with its turns and language."""
    yield from trees.read(source, stream, limit, partial(_questions, language=language_of(source.kind, unit.path)))


def _questions(data: bytes | str, mark: str, language: str) -> Iterator[Said]:
    _not_deeper_than(data, DEEPEST)
    parsed = yaml.CSafeLoader(data).get_single_data()  # plain data only; yaml.safe_load is ten times slower
    _no_more_than(parsed, len(data))
    dialogue = any("conversation" in str(category) for category in parsed.get("categories") or [])
    for said in parsed["conversations"]:
        record = json.dumps(said, ensure_ascii=False, default=str)
        lines = said if isinstance(said, list) else [said]
        turns = [Turn(who=i % 2 if dialogue else min(i, 1), text=str(line)) for i, line in enumerate(lines)]
        yield record, turns, {"language": language}


def _not_deeper_than(data: bytes | str, levels: int) -> None:
    """Raises ValueError for a tree whose building would overflow the parser's stack, which ends the process."""
    depth = 0
    for event in yaml.parse(data, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > levels:
            raise ValueError("nested too deep")


def _no_more_than(value: Any, size: int) -> None:
    """Raises ValueError where a tree says more than its file, as aliases of aliases do without end."""
    open_, seen = [value], 0
    while open_:
        inner = open_.pop()
        seen += len(inner) if isinstance(inner, str) else 1
        if seen > size + 1:
            raise ValueError("it says more than it holds")
        open_ += [*inner, *inner.values()] if isinstance(inner, dict) else inner if isinstance(inner, list) else []
