"""JSON lines: each line an object, its text and facts under the names that the source's ``fields`` give."""

import json
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from cluster.errors import SourceError
from pipeline.corpus import inflate, records
from pipeline.corpus.inflate import Stream
from pipeline.corpus.locate import Unit
from pipeline.corpus.readers.config import Source
from pipeline.corpus.readers.lines import CHUNK, Line, lines
from pipeline.corpus.records import Raw

DEEPEST = 200  # levels of a line: the parser's stack always holds these, how many more depends on who calls it

_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)  # the last one may lack its end: never looked at twice


def read(source: Source, stream: Stream, unit: Unit, limit: int) -> Iterator[Raw]:
    """The lines that begin inside the unit, the last one to its end; of a compressed file, all."""
    compressed = bool(inflate.suffix_of(unit.path))
    end = float("inf") if compressed else unit.end
    at = _first(stream, unit)
    if at is None:
        return
    for line in lines(source.name, stream, at, limit, inflate.longest(stream)):
        if line.at >= end:
            return
        yield from _record(source, line, limit)
        at = line.at + line.size + len(line.end)
    if not compressed and at < end:
        field, rule = f"corpus.sources.{source.name}.path", "became shorter while it was read"
        raise SourceError(field, unit.path, rule, "Run again when nothing writes to it any more")


def _first(stream: Any, unit: Unit) -> int | None:
    """Go to the first line that begins inside the unit; None where none does, as one line fills it whole."""
    if not unit.start:
        return 0
    at = unit.start - 1
    stream.seek(at)
    while at < unit.end - 1 and (chunk := stream.read(min(CHUNK, unit.end - 1 - at))):
        if (stop := chunk.find(b"\n")) >= 0:
            return int(stream.seek(at + stop + 1))
        at += len(chunk)
    return None


def _record(source: Source, line: Line, limit: int) -> Iterator[Raw]:
    name, where = source.name, f"byte {line.at}"
    if line.lost:
        yield records.aside(name, line.document, "endless", float(line.size), line.head, where)
    elif line.size > limit:
        yield records.too_long(name, line.document, line.size, line.head, where)
    elif line.head.strip():
        value = _parse(line.head)
        if isinstance(value, dict):
            found = records.mapped(source.fields, value)
            if "text" not in found:
                where += f" (its fields are {', '.join(value)[:200]})"
            yield from records.named(name, found, line.document, line.head, limit, where)
        else:
            yield records.unreadable(name, line.document, *value, line.head, where)


def _parse(line: bytes) -> dict[str, Any] | tuple[str, int]:
    """The object of a line, or why it is none, and from which byte on."""
    try:
        said = line.decode().removeprefix("\ufeff")  # the mark of UTF-8
        if _depth(said) > DEEPEST:
            return "not_json", 0
        value = json.loads(said)
    except UnicodeDecodeError as error:
        return "invalid_utf8", error.start
    except ValueError:
        return "not_json", 0
    return value if isinstance(value, dict) else ("not_an_object", 0)


def _depth(said: str) -> int:
    """Levels of lists and objects, or 0 where there are too few brackets to matter."""
    if said.count("[") + said.count("{") <= DEEPEST:
        return 0
    return max(accumulate((c in "[{") - (c in "]}") for c in _STRING.sub("", said)), default=0)
