"""Tables: whether the columns are there that a source names. Shared by readers."""

from collections.abc import Sequence

from cluster.errors import SourceError
from pipeline.corpus.readers.config import Source


def check(source: Source, path: str, columns: Sequence[str]) -> None:
    """Raises SourceError where a field of the source is no column; one with dots, where its first name is none."""
    for ours, theirs in source.fields.items():
        if theirs not in columns and theirs.partition(".")[0] not in columns:
            rule = f"no column of {path} is called so; it has {', '.join(columns)[:500]}"
            raise SourceError(
                f"corpus.sources.{source.name}.fields.{ours}", theirs, rule, "Name one of them, or leave the file out"
            )
