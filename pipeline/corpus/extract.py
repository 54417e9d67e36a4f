"""Readers: the bytes of a unit to raw documents, or to drops where a record cannot be used. Knows no cleaning.

A document's id comes from its raw record, as it stands in the file or, where the file is one tree (see ``trees``), as
canonical JSON of the record.
"""

import json
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, BinaryIO

from cluster.errors import SourceError
from pipeline import rows
from pipeline.corpus import records, trees
from pipeline.corpus.config import Source
from pipeline.corpus.locate import Unit
from pipeline.corpus.records import Raw

DEEPEST = 200  # levels of a JSON line: the parser's stack always holds these, how many more depends on who calls it

_CHUNK = 1 << 20
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def extract(source: Source, unit: Unit, max_record_bytes: int) -> Iterator[Raw]:
    """The raw documents of a unit. Raises SourceError for a file that is not what its kind says, or cannot be read."""
    field = f"corpus.sources.{source.name}.path"
    try:
        with open(unit.path, "rb") as file:
            if source.kind == "jsonl":
                yield from _lines(source, unit, file, max_record_bytes)
            elif source.kind in ("text", "code"):
                yield from _whole(source, file, max_record_bytes)
            else:
                yield from trees.tree(source, unit.path, file.read(), max_record_bytes)
    except OSError as error:
        rule = f"cannot be read: {error.strerror}"
        raise SourceError(field, unit.path, rule, "Mend it, or leave it out") from error
    except trees.BROKEN as error:
        rule = f"is not a file of kind {source.kind}: {str(error)[:200]}"
        raise SourceError(field, unit.path, rule, "Mend the file, or leave it out") from error


def _whole(source: Source, file: BinaryIO, limit: int) -> Iterator[Raw]:
    """A file that is one record; of one longer than the limit, only the first bytes are held."""
    running = rows.begin_id(source.name)
    head = file.read(limit + 1)
    size = len(head)
    running.update(head)
    while chunk := file.read(_CHUNK):
        running.update(chunk)
        size += len(chunk)
    if size > limit:
        yield records.too_long(source.name, running.hexdigest(), size, head)
    else:
        yield from records.text(source.name, head, running.hexdigest(), limit)


def _lines(source: Source, unit: Unit, file: BinaryIO, limit: int) -> Iterator[Raw]:
    """The lines that begin inside the unit, the last one to its end."""
    file.seek(max(0, unit.start - 1))
    while unit.start and not file.readline(_CHUNK).endswith(b"\n"):
        if file.tell() >= unit.end:
            return  # one line fills the whole unit; it belongs to an earlier one
    while (at := file.tell()) < unit.end:
        line, size, document = _line(file, rows.begin_id(source.name), limit)
        if size > limit:
            yield records.too_long(source.name, document, size, line)
        elif line.strip():
            yield from _json_record(source, line, document, limit)
        if file.tell() == at:
            raise ValueError("it became shorter while it was read")


def _line(file: BinaryIO, running: Any, limit: int) -> tuple[bytes, int, str]:
    """The next line without its end: at most ``limit + 1`` bytes of it, the length of all of it, and its id."""
    head, size, held = b"", 0, b""
    while chunk := file.readline(_CHUNK):
        chunk = held + chunk
        body = chunk.removesuffix(b"\n").removesuffix(b"\r")
        running.update(body)
        head += body[: limit + 1 - len(head)]
        size += len(body)
        if chunk.endswith(b"\n"):
            break
        held = chunk[len(body) :]  # a carriage return: part of the line's end, unless more follows
    return head, size, running.hexdigest()


def _json_record(source: Source, line: bytes, document: str, limit: int) -> Iterator[Raw]:
    try:
        said = line.decode()
        if _depth(said) > DEEPEST:
            raise ValueError("nested too deep")
        value = json.loads(said)
    except UnicodeDecodeError as error:
        yield records.unreadable(source.name, document, "invalid_utf8", error.start, line)
        return
    except ValueError:
        yield records.unreadable(source.name, document, "not_json", 0, line)
        return
    text = value.get(source.text_field) if isinstance(value, dict) else None
    if isinstance(text, str):
        yield from records.text(source.name, text.encode(errors="surrogatepass"), document, limit)
    else:
        yield records.unreadable(source.name, document, "no_text_field", 0, line)


def _depth(said: str) -> int:
    """Levels of lists and objects, or 0 where there are too few brackets to matter."""
    if said.count("[") + said.count("{") <= DEEPEST:
        return 0
    return max(accumulate((c in "[{") - (c in "]}") for c in _STRING.sub("", said)), default=0)
