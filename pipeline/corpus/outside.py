"""What the corpus stage reads from outside of the run, as one digest for its fingerprint: content, not names."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import digest
from pipeline.corpus import families, locate
from pipeline.corpus.leaks import benchmarks as leaks
from pipeline.corpus.near import earlier

if TYPE_CHECKING:
    from pipeline.config import RunConfig


def config_digest(config: "RunConfig") -> str:
    """The content of the sources, of samples and word lists, of benchmarks, and the digests of earlier runs."""
    corpus = config.corpus
    return digest.of_json(
        {
            "sources": locate.content_digest(corpus.sources),
            "samples": _files(families.outside(corpus)),
            "benchmarks": _files(leaks.outside(corpus)),
            "earlier": earlier.outside(corpus.dedup),
        }
    )


def _files(paths: Iterable[str]) -> list[tuple[str, str]]:
    """The stem and the sha256 of each file: a benchmark is called by its stem."""
    found = []
    for path in paths:
        with open(path, "rb") as file:
            found.append((Path(path).stem, hashlib.file_digest(file, "sha256").hexdigest()))
    return sorted(found)
