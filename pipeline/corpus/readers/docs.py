"""Topics of Python's own help: the values of the dictionary literals of a module, which is parsed and never run."""

import ast
from collections.abc import Iterator

from pipeline.corpus.inflate import Stream
from pipeline.corpus.locate import Unit
from pipeline.corpus.readers import trees
from pipeline.corpus.readers.config import Source
from pipeline.corpus.readers.trees import Said
from pipeline.corpus.records import Raw


def read(source: Source, stream: Stream, unit: Unit, limit: int) -> Iterator[Raw]:
    """A document for each topic."""
    yield from trees.read(source, stream, limit, _topics)


def _topics(data: bytes | str, mark: str) -> Iterator[Said]:
    for node in ast.parse(data).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            for value in ast.literal_eval(node.value).values():
                yield str(value), None, {}
