"""Conversations of chitchat-dataset: one JSON object, a chat under each key."""

import json
from collections.abc import Iterator
from typing import Any

from pipeline.corpus.inflate import Stream
from pipeline.corpus.locate import Unit
from pipeline.corpus.readers import trees
from pipeline.corpus.readers.config import Source
from pipeline.corpus.readers.trees import Said
from pipeline.corpus.records import Raw
from pipeline.rows import Turn


def read(source: Source, stream: Stream, unit: Unit, limit: int) -> Iterator[Raw]:
    """A document for each chat, with its turns, ratings and prompt."""
    yield from trees.read(source, stream, limit, _chats)


def _chats(data: bytes | str, mark: str) -> Iterator[Said]:
    for chat in json.loads(data).values():
        record = json.dumps(chat, sort_keys=True, ensure_ascii=False)
        if mark and mark in record:
            yield record, None, {}
        else:
            facts = {name: chat[name] for name in ("ratings", "prompt") if chat.get(name)}
            yield record, _turns(chat), facts


def _turns(chat: dict[str, Any]) -> list[Turn]:
    """Messages that one person sends in a row are one turn; the first to speak is 0."""
    speakers: dict[str, int] = {}
    turns: list[Turn] = []
    for messages in chat["messages"]:
        for message in messages:
            who = speakers.setdefault(message["sender"], len(speakers))
            if turns and turns[-1]["who"] == who:
                turns[-1]["text"] += "\n" + message["text"]
            else:
                turns.append(Turn(who=who, text=message["text"]))
    return turns
