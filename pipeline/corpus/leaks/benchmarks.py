"""Evaluation files to items: which texts of a record, in any layout, a training text must not hold. Knows no index.

A file is one benchmark, named by its stem. A record's texts are all its strings, wherever they stand, parted at the
labels of prompts ("Question:", "Answer:"), since a leak has the question but not the template around it.
"""

import csv
import glob
import gzip
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.errors import SourceError

if TYPE_CHECKING:
    from pipeline.corpus.config import CorpusConfig

_FIELD = "corpus.decontaminate.against"
_LABEL = re.compile(
    r"(?:\A|\n)[ \t]*(?:question|answer|passage|context|problem|sentence|premise|hypothesis|q|a)[ \t]*:(?!\S)",
    re.IGNORECASE,
)
_DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Item:
    """One item of a benchmark: its name (``piqa:17``, by record, from 1) and its texts."""

    name: str
    texts: tuple[str, ...]


def outside(config: "CorpusConfig") -> list[str]:
    """The benchmark files, whose content belongs to the fingerprint."""
    return [str(path) for path in files(config.decontaminate.against)]


def files(against: Sequence[str]) -> list[Path]:
    """The files of paths and globs, sorted by benchmark. Raises SourceError for none, and for two of one name."""
    found: set[Path] = set()
    for path in against:
        matched = [Path(p) for p in glob.glob(path, recursive=True) if Path(p).is_file()]
        if not matched:
            raise SourceError(_FIELD, path, "no such file", "Give the path of a .jsonl or .csv file, or a glob")
        found |= {p.absolute() for p in matched}
    for name, count in Counter(map(name_of, found)).items():
        if count > 1:
            raise SourceError(_FIELD, name, f"{count} files are this benchmark", "Rename one, or name one of them")
    return sorted(found, key=name_of)


def name_of(path: Path) -> str:
    """``data/piqa.jsonl.gz`` is ``piqa``."""
    return path.name.split(".")[0]


def read(path: Path) -> Iterator[Item]:
    """The items of a benchmark file. Raises SourceError for a record that cannot be read."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode(errors="replace").removeprefix("\ufeff")
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    if kind not in ("jsonl", "csv", "tsv"):
        raise SourceError(_FIELD, str(path), "a benchmark is a .jsonl or .csv file", "Convert it")
    for number, record in enumerate(_json(path, text) if kind == "jsonl" else _csv(text), 1):
        yield Item(f"{name_of(path)}:{number}", tuple(_parts(record)))


def _json(path: Path, text: str) -> Iterator[Any]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SourceError(_FIELD, f"{path}, line {number}", f"not JSON ({error})", "Mend the line") from None


def _csv(text: str) -> Iterator[list[str]]:
    """Rows after the head; the delimiter is what parts the head."""
    head = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=lambda mark: (head.count(mark), -_DELIMITERS.index(mark)))
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    next(rows, None)
    yield from (row for row in rows if row)


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
    return name.rpartition(":")[0] or "held-out documents"


def is_item(name: str) -> bool:
    """Whether a held-out text is an item of a benchmark, and no document."""
    return ":" in name
