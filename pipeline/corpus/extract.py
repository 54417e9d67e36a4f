"""Readers: the bytes of a unit to raw documents, or to records set aside. Knows no format and no cleaning.

The reader of a kind is the module of that name in ``readers``, a function

    read(source: Source, stream: Stream, unit: Unit, limit: int) -> Iterator[Raw | str]

that holds about one record at a time, and sets aside what it cannot use: a record longer than ``limit`` bytes, or one
that is not what its kind says. Of a record that is no text and need not be, it gives the cause alone, a string. It
raises SourceError for what only the user can mend (a column that is not there).

A document's id comes from its raw record: the line, the file's or the page's bytes, or canonical JSON of the record
where a file is a tree or a table.
"""

import importlib
from collections import Counter
from collections.abc import Iterator

from pipeline import rows
from pipeline.corpus import files, inflate, records
from pipeline.corpus.inflate import Damaged
from pipeline.corpus.locate import Unit
from pipeline.corpus.readers.config import Source
from pipeline.corpus.records import Raw


def extract(source: Source, unit: Unit, max_record_bytes: int, over: Counter[str] | None = None) -> Iterator[Raw]:
    """The raw documents of a unit, and its records set aside, each with ``where`` it stands.

    ``over`` takes up how many records were passed over, by cause.

    A file that is not what its name says, or is damaged, gives what stands before the damage and then one record set
    aside: ``not_KIND``, ``truncated`` or ``damaged``. Raises SourceError for a file that cannot be opened or read.
    """
    reader = importlib.import_module(f"pipeline.corpus.readers.{source.kind}")
    with files.open_file(source, unit.path) as file:
        try:
            for raw in reader.read(source, inflate.inflated(file, unit.path), unit, max_record_bytes):
                if not isinstance(raw, str):
                    yield _placed(raw, unit)
                elif over is not None:
                    over[raw] += 1
        except Damaged as damage:
            document = rows.document_id(source.name, damage.tail)
            where = f"byte {damage.at}"
            left = records.aside(source.name, document, damage.reason, float(damage.at), damage.tail, where)
            yield _placed(left, unit)


def _placed(raw: Raw, unit: Unit) -> Raw:
    if "reason" in raw and "where" in raw:
        raw["where"] = f"{unit.path}, {raw['where']}"
    return raw
