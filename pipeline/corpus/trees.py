"""Files that are one tree of many records: plays, chats, questions, topics. Knows no cleaning.

Bytes that are not UTF-8 cost the records that hold them, not the file; only where the rest is then no tree any more,
the whole file is set aside as one record.
"""

import ast
import json
import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import yaml

from pipeline import rows
from pipeline.corpus import records
from pipeline.corpus.config import Source
from pipeline.corpus.locate import language_of
from pipeline.corpus.records import Raw
from pipeline.rows import Row, Turn

BROKEN = (ValueError, KeyError, TypeError, AttributeError, SyntaxError, RecursionError, yaml.YAMLError)
"""What the readers raise for a file that is not what its kind says."""

Said = tuple[str, list[Turn] | None, dict[str, Any]]
"""A record as text, its turns and the facts beside them; None in place of turns where it is not a conversation."""

_HEADING = re.compile(r"^(#{1,6})[ \t]+(.*?)[ \t]*$", re.MULTILINE)
_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # what the error handler surrogateescape makes of such bytes


def tree(source: Source, path: str, data: bytes, limit: int) -> Iterator[Raw]:
    """The records of a file. Raises one of BROKEN for a file that is not what its kind says."""
    if source.kind == "plays":
        for part in _scenes(data):
            yield from records.text(source.name, part, rows.document_id(source.name, part), limit)
        return
    mark = ""
    try:
        found = _parse(source, path, data, mark)
    except BROKEN:
        text, mark = _marked(data)
        if not mark:
            raise
        try:
            found = _parse(source, path, text, mark)
        except BROKEN:
            document = rows.document_id(source.name, data)
            yield records.unreadable(source.name, document, "invalid_utf8", _first(text, mark), data)
            return
    for said in found:
        yield from _record(source.name, said, limit, mark)


def _parse(source: Source, path: str, data: bytes | str, mark: str) -> list[Said]:
    """All records of a file, so that one that cannot be parsed gives none."""
    if source.kind == "chats":
        return list(_chats(data, mark))
    if source.kind == "questions":
        return list(_questions(data, language_of(source.kind, path)))
    return list(_topics(data))


def _marked(data: bytes) -> tuple[str, str]:
    """The text, each byte that is not UTF-8 replaced by a mark that is nowhere else in it, and the mark; "" if none."""
    text = data.decode(errors="surrogateescape")
    if not _NOT_UTF8.search(text):
        return text, ""
    private = map(chr, range(0xE000, 0xF900))  # not a surrogate: YAML takes none
    mark = next(character for character in private if character not in text)
    return _NOT_UTF8.sub(mark, text), mark


def _first(text: str, mark: str) -> int:
    """The byte at which the first mark stands."""
    return len(text.partition(mark)[0].encode())


def _record(source: str, said: Said, limit: int, mark: str) -> Iterator[Raw]:
    text, turns, facts = said
    if mark and mark in text:
        record = text.replace(mark, "\ufffd").encode()  # the id must not depend on which mark was free
        document = rows.document_id(source, record)
        yield records.unreadable(source, document, "invalid_utf8", _first(text, mark), record)
        return
    record = text.encode(errors="surrogatepass")
    document = rows.document_id(source, record)
    if turns is None:
        yield from records.text(source, record, document, limit)
    elif len(record) > limit:
        yield records.too_long(source, document, len(record), record)
    else:
        yield Row(id=document, source=source, text=rows.render(turns), meta=rows.pack_meta(turns=turns, **facts))


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


def _questions(data: bytes | str, language: str) -> Iterator[Said]:
    parsed = yaml.CSafeLoader(data).get_single_data()  # plain data only; yaml.safe_load is ten times slower
    dialogue = any("conversation" in str(category) for category in parsed.get("categories") or [])
    for said in parsed["conversations"]:
        record = json.dumps(said, ensure_ascii=False, default=str)
        lines = said if isinstance(said, list) else [said]
        turns = [Turn(who=i % 2 if dialogue else min(i, 1), text=str(line)) for i, line in enumerate(lines)]
        yield record, turns, {"language": language}


def _topics(data: bytes | str) -> Iterator[Said]:
    """The values of the dictionary literals of a Python module, which is parsed and never run."""
    for node in ast.parse(data).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            for value in ast.literal_eval(node.value).values():
                yield str(value), None, {}


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
