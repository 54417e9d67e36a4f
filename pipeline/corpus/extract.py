"""Readers: the bytes of a unit to raw documents, or to drops where a record cannot be used. Knows no cleaning.

A document's id comes from its raw record, as it stands in the file or, where the file is one tree (JSON, YAML), as
canonical JSON of the record.
"""

import ast
import json
import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from cluster.errors import SourceError
from pipeline import rows
from pipeline.corpus.config import Source
from pipeline.corpus.locate import Unit
from pipeline.rows import Drop, Row, Turn

_CHUNK = 1 << 20
_HEADING = re.compile(r"^(#{1,6})[ \t]+(.*?)[ \t]*$", re.MULTILINE)

Raw = Row | Drop


def extract(source: Source, unit: Unit, max_record_bytes: int) -> Iterator[Raw]:
    """The raw documents of a unit. Raises SourceError for a file that is not what its kind says."""
    try:
        with open(unit.path, "rb") as file:
            if source.kind == "jsonl":
                yield from _lines(source, unit, file, max_record_bytes)
            elif source.kind in ("text", "code"):
                record, document = _bounded(file, rows.begin_id(source.name), max_record_bytes)
                yield from _record(source, record, document, max_record_bytes, "")
            else:
                yield from _tree(source, unit, file.read(), max_record_bytes)
    except (ValueError, KeyError, TypeError, AttributeError, SyntaxError, yaml.YAMLError) as error:
        rule = f"is not a file of kind {source.kind}: {str(error)[:200]}"
        raise SourceError(
            f"corpus.sources.{source.name}.path", unit.path, rule, "Mend the file, or leave it out"
        ) from error


def drop(source: str, document: str, step: str, reason: str, score: float, text: str, partner: str = "") -> Drop:
    """A drop with as much of its text as is kept for a reader."""
    kept = text[: rows.DROPPED_TEXT_CHARACTERS]
    return Drop(id=document, source=source, step=step, reason=reason, score=score, partner=partner, text=kept)


def _record(source: Source, record: bytes, document: str, limit: int, meta: str) -> Iterator[Raw]:
    """One record of plain text; a string of a tree comes here as UTF-8 as well."""
    if len(record) > limit:
        yield drop(source.name, document, "read", "too_long", float(len(record)), _glance(record))
        return
    try:
        yield Row(id=document, source=source.name, text=record.decode(), meta=meta)
    except UnicodeDecodeError as error:
        yield drop(source.name, document, "read", "invalid_utf8", float(error.start), _glance(record))


def _glance(record: bytes) -> str:
    return record[: 4 * rows.DROPPED_TEXT_CHARACTERS].decode(errors="replace")


def _bounded(file: BinaryIO, running: Any, limit: int) -> tuple[bytes, str]:
    """At most ``limit + 1`` bytes of a file, and the id of all of it."""
    record = file.read(limit + 1)
    running.update(record)
    while chunk := file.read(_CHUNK):
        running.update(chunk)
    return record, running.hexdigest()


def _lines(source: Source, unit: Unit, file: BinaryIO, limit: int) -> Iterator[Raw]:
    """The lines that begin inside the unit, the last one to its end."""
    file.seek(max(0, unit.start - 1))
    while unit.start and not file.readline(_CHUNK).endswith(b"\n"):
        if file.tell() >= unit.end:
            return  # one line fills the whole unit; it belongs to an earlier one
    while file.tell() < unit.end:
        line = file.readline(limit + 1)
        running = rows.begin_id(source.name, line.rstrip(b"\r\n"))
        end = line
        while not end.endswith(b"\n") and (end := file.readline(_CHUNK)):
            running.update(end.rstrip(b"\r\n"))
        if line.strip():
            yield from _json_record(source, line, running.hexdigest(), limit)


def _json_record(source: Source, line: bytes, document: str, limit: int) -> Iterator[Raw]:
    if len(line) > limit:
        yield drop(source.name, document, "read", "too_long", float(len(line)), _glance(line))
        return
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError as error:
        yield drop(source.name, document, "read", "invalid_utf8", float(error.start), _glance(line))
        return
    except ValueError:
        yield drop(source.name, document, "read", "not_json", 0.0, _glance(line))
        return
    text = value.get(source.text_field) if isinstance(value, dict) else None
    if isinstance(text, str):
        yield from _record(source, text.encode(errors="surrogatepass"), document, limit, "")
    else:
        yield drop(source.name, document, "read", "no_text_field", 0.0, _glance(line))


def _tree(source: Source, unit: Unit, data: bytes, limit: int) -> Iterator[Raw]:
    """Files that hold many records."""
    name = source.name
    if source.kind == "chats":
        for chat in json.loads(data).values():
            record = json.dumps(chat, sort_keys=True, ensure_ascii=False).encode(errors="surrogatepass")
            yield from _conversation(name, record, limit, turns=_chat_turns(chat), **_chat_facts(chat))
    elif source.kind == "questions":
        tree = yaml.CSafeLoader(data).get_single_data()  # plain data only; yaml.safe_load is ten times slower
        dialogue = any("conversation" in str(category) for category in tree.get("categories") or [])
        for said in tree["conversations"]:
            record = json.dumps(said, ensure_ascii=False, default=str).encode()
            lines = said if isinstance(said, list) else [said]
            turns = [Turn(who=i % 2 if dialogue else min(i, 1), text=str(line)) for i, line in enumerate(lines)]
            yield from _conversation(name, record, limit, turns=turns, language=Path(unit.path).parent.name)
    else:
        split = _scenes if source.kind == "plays" else _topics
        for text in split(data):
            yield from _record(source, text, rows.document_id(name, text), limit, "")


def _conversation(source: str, record: bytes, limit: int, turns: list[Turn], **facts: object) -> Iterator[Raw]:
    document = rows.document_id(source, record)
    if len(record) > limit:
        yield drop(source, document, "read", "too_long", float(len(record)), _glance(record))
        return
    yield Row(id=document, source=source, text=rows.render(turns), meta=rows.pack_meta(turns=turns, **facts))


def _chat_turns(chat: dict[str, Any]) -> list[Turn]:
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


def _chat_facts(chat: dict[str, Any]) -> dict[str, object]:
    return {name: chat[name] for name in ("ratings", "prompt") if chat.get(name)}


def _scenes(data: bytes) -> Iterator[bytes]:
    """A play in Markdown, cut at its headings; each part begins with the headings that it stands under."""
    text = data.decode(errors="surrogateescape")
    above: dict[int, str] = {}
    marks = list(_HEADING.finditer(text))
    for mark, following in zip_longest(marks, marks[1:]):
        level = len(mark[1]) + (len(mark[1]) == 2 and mark[2].upper().startswith("SCENE"))
        above = {depth: line for depth, line in above.items() if depth < level} | {level: mark[0].strip()}
        body = text[mark.end() : following.start() if following else len(text)].strip()
        if body:
            yield "\n\n".join([*above.values(), body]).encode(errors="surrogateescape")
    if not marks and text.strip():
        yield data


def _topics(data: bytes) -> Iterator[bytes]:
    """The values of the dictionary literals of a Python module, which is parsed and never run."""
    for node in ast.parse(data).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            for value in ast.literal_eval(node.value).values():
                yield str(value).encode(errors="surrogatepass")
