"""Evaluation files to items: which texts of a record, in any layout, a training text must not hold. Knows no index.

A file is one benchmark, named by its stem. A record's texts are all its strings, wherever they stand, parted at the
labels of prompts ("Question:", "Answer:"), since a leak has the question but not the template around it.
"""

import csv
import glob
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from cluster.errors import SourceError
from pipeline.corpus import inflate

if TYPE_CHECKING:
    from pipeline.corpus.config import CorpusConfig

_FIELD = "corpus.decontaminate.against"
_LABEL = re.compile(
    r"(?:\A|\n)[ \t]*(?:question|answer|passage|context|problem|sentence|premise|hypothesis|q|a)[ \t]*:(?!\S)",
    re.IGNORECASE,
)
HELDOUT = "held-out documents"
_DELIMITERS = ",;\t|"
_FORMS = ("jsonl", "csv", "tsv", "parquet")
_RULE = "a benchmark is a .jsonl, .csv, .tsv or .parquet file, as it is or with .gz, .zst or .bz2"
_COLUMN = re.compile(
    "question|query|prompt|problem|text|sentence|passage|context|article|premise|hypothesis|comment|goal|answer|choice"
    "|option|label|ending|target|solution|subject|category",
    re.IGNORECASE,
)
_NAME_WORDS = 3  # of a column, at most


@dataclass(frozen=True)
class Item:
    """One item of a benchmark: its name (``piqa:17``, by record, from 1) and its texts."""

    name: str
    texts: tuple[str, ...]


def outside(config: "CorpusConfig") -> list[str]:
    """The benchmark files, whose content belongs to the fingerprint."""
    return [str(path) for path in files(config.decontaminate.against)]


def files(against: Sequence[str]) -> list[Path]:
    """The files of paths, folders and globs, sorted by benchmark; of a folder, those of a form that can be read.

    Raises SourceError for none, for one of another form, and for two of one name.
    """
    found: set[Path] = set()
    for path in against:
        if Path(path).is_dir():
            matched = [p for p in Path(path).rglob("[!.]*") if p.is_file() and _form(p) in _FORMS]
        else:
            matched = [Path(p) for p in glob.glob(path, recursive=True) if Path(p).is_file()]
        if not matched:
            raise SourceError(_FIELD, path, "no such file", f"Give a file, a folder or a glob: {_RULE}")
        for wrong in (p for p in matched if _form(p) not in _FORMS):
            raise SourceError(_FIELD, str(wrong), _RULE, "Convert it")
        found |= {p.absolute() for p in matched}
    for name, count in Counter(map(name_of, found)).items():
        if count > 1:
            raise SourceError(_FIELD, name, f"{count} files are this benchmark", "Rename one, or name one of them")
    return sorted(found, key=name_of)


def name_of(path: Path) -> str:
    """``data/piqa.jsonl.gz`` is ``piqa``."""
    return path.name.split(".")[0]


def check(against: Sequence[str]) -> None:
    """Read all files once, before there is work to lose. Raises SourceError for one that cannot be read."""
    for path in files(against):
        for _ in read(path):
            pass


def read(path: Path) -> Iterator[Item]:
    """The items of a benchmark file. Raises SourceError for a record that cannot be read."""
    try:
        for number, record in enumerate(_records(path), 1):
            yield Item(f"{name_of(path)}:{number}", tuple(_parts(record)))
    except (OSError, inflate.Damaged, pa.ArrowException, csv.Error) as error:
        raise SourceError(_FIELD, str(path), f"cannot be read: {error}", "Mend the file, or leave it out") from error


def _form(path: Path) -> str:
    name = path.name.lower()
    return name.removesuffix(inflate.suffix_of(name)).rpartition(".")[2]


def _records(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        data = b"".join(iter(partial(inflate.inflated(file, path.name).read, 1 << 22), b""))
    if _form(path) == "parquet":
        return iter(pq.read_table(pa.BufferReader(data)).to_pylist())
    text = data.decode(errors="replace").removeprefix("\ufeff")
    return _json(path, text) if _form(path) == "jsonl" else _csv(text)


def _json(path: Path, text: str) -> Iterator[Any]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SourceError(_FIELD, f"{path}, line {number}", f"not JSON ({error})", "Mend the line") from None


def _csv(text: str) -> Iterator[list[str]]:
    """All rows but a head, which has short cells and the name of a column among them; the first line's mark parts."""
    first = re.sub('"[^"]*"', "", text.partition("\n")[0])
    delimiter = max(_DELIMITERS, key=lambda mark: (first.count(mark), -_DELIMITERS.index(mark)))
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    short = bool(rows) and all(len(cell.split()) <= _NAME_WORDS for cell in rows[0])
    yield from rows[short and any(map(_COLUMN.search, rows[0])) :]


def _parts(value: Any) -> Iterator[str]:
    """The strings of a record, parted at labels."""
    if isinstance(value, str):
        yield from (part for part in _LABEL.split(value) if part.strip())
    elif isinstance(value, dict):
        for _, inner in sorted(value.items()):
            yield from _parts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _parts(inner)


def of(name: str) -> str:
    """The benchmark that a held-out text belongs to by its name."""
    return name.rpartition(":")[0] or HELDOUT


def is_item(name: str) -> bool:
    """Whether a held-out text is an item of a benchmark, and no document."""
    return ":" in name
