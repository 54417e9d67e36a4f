"""The user's samples and lists of words: which files, and what they hold. Knows no signal.

Samples are a set: neither the names of files, nor their order, nor that of lines shows in what is drawn.
"""

import glob
import gzip
import heapq
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from cluster.errors import ConfigError, SourceError
from pipeline.corpus.signals.config import LearnerConfig
from pipeline.corpus.signals.linear import Linear, key_of, train

FEWEST = 10  # samples of a kind, below which nothing is learnt


def files(field: str, patterns: Sequence[str]) -> list[str]:
    """The files that paths and globs name, sorted, each once. Raises SourceError for one that names none."""
    found: set[str] = set()
    for pattern in patterns:
        paths = [path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path)]
        if os.path.isfile(pattern):
            paths = [pattern]
        if not paths:
            raise SourceError(field, pattern, "names no file", "Give the path of a file, or a glob")
        found.update(map(os.path.realpath, paths))
    return sorted(found)


def learn(field: str, positive: tuple[str, ...], negative: tuple[str, ...], config: LearnerConfig) -> Linear:
    """A classifier of two kinds of samples; ``field`` is the section of the config that names them.

    Raises ConfigError where there are too few, SourceError for a file that cannot be read.
    """
    return train(_drawn(field, positive, config), _drawn(field, negative, config), config)


def _drawn(field: str, patterns: tuple[str, ...], config: LearnerConfig) -> list[str]:
    texts = draw(_texts(field, files(field, patterns)), config)
    if len(texts) < FEWEST:
        rule = f"{len(texts)} different samples, fewer than {FEWEST}"
        raise ConfigError(field, list(patterns), rule, "Give more samples, of both kinds")
    return texts


def draw(texts: Iterable[str], config: LearnerConfig) -> list[str]:
    """Different texts, cut to what is looked at: those with the smallest keys, of ``sample_bytes`` together."""
    held: list[tuple[int, str]] = []  # a heap: the largest key first
    seen: set[int] = set()
    size, limit = 0, 2**64
    for text in texts:
        start = text[: config.text_characters]
        key = key_of(start)
        if key >= limit or key in seen or not start.strip():
            continue
        seen.add(key)
        heapq.heappush(held, (-key, start))
        size += len(start.encode(errors="surrogatepass"))
        while size > config.sample_bytes:
            # Whoever comes later with a larger key than one that went must not stay either, or order would show.
            largest, gone = heapq.heappop(held)
            limit = -largest
            seen.discard(limit)
            size -= len(gone.encode(errors="surrogatepass"))
    return [text for _, text in sorted(held, reverse=True)]


def word_list(field: str, paths: Sequence[str]) -> list[str]:
    """Words of lists, one a line, in lower case, sorted. Raises SourceError for a line of several words."""
    words: set[str] = set()
    for path in files(field, paths):
        for number, line in _lines(field, path):
            word = line.strip().lower()
            if len(word.split()) > 1:
                raise SourceError(field, f"{path}, line {number}", "has several words", "Give one word a line")
            words.add(word)
    return sorted(words - {""})


def _texts(field: str, paths: Sequence[str]) -> Iterator[str]:
    for path in paths:
        if not path.removesuffix(".gz").endswith(".jsonl"):
            yield "".join(line for _, line in _lines(field, path))
            continue
        for number, line in _lines(field, path):
            if not line.strip():
                continue
            try:
                text = json.loads(line)["text"]
            except (ValueError, KeyError, TypeError):
                text = None
            if not isinstance(text, str):
                raise SourceError(field, f"{path}, line {number}", "has no text", 'Each line is {"text": "..."}')
            yield text


def _lines(field: str, path: str) -> Iterator[tuple[int, str]]:
    """Numbered lines of a file. Raises SourceError where it cannot be read as UTF-8."""
    try:
        with _open(path) as file:
            yield from enumerate(file, 1)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise SourceError(field, path, f"cannot be read: {error}", "Give a file of UTF-8 text") from error


def _open(path: str) -> IO[str]:
    return gzip.open(path, "rt", encoding="utf-8") if path.endswith(".gz") else open(path, encoding="utf-8")
