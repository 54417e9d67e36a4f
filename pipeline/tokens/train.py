"""The stage's tokeniser: trained from the words that were counted, or taken from a file. Knows no Ray."""

import importlib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.errors import ConfigError
from models.tokenizer import Tokenizer
from models.words import Words
from pipeline import digest
from pipeline.stage import StageFolder
from pipeline.tokens import counts
from pipeline.tokens.config import TokensConfig
from pipeline.tokens.pieces import TOKENIZER

if TYPE_CHECKING:
    from pipeline.config import RunConfig

# Kinds whose result also depends on a library that only they use: its version is part of what lies outside.
_LIBRARIES = {"unigram": "sentencepiece", "word_zh": "jieba"}


def train(folder: StageFolder, config: TokensConfig, pieces: int) -> int:
    """Gather the words of all parts, train, and write the tokeniser; returns the size of its vocabulary."""
    words = counts.gather(folder, pieces, config.count_parts, config.max_words)
    made = build(config.kind, words, config.vocab_size)
    folder.write_bytes(TOKENIZER, made.to_json().encode(), rows=1)
    return made.vocab_size


def build(kind: str, words: Words, size: int) -> Tokenizer:
    """A tokeniser of a kind: a module of models/kinds, by its name. Raises ConfigError where its library is missing."""
    try:
        make: Callable[[Words, int], Any] = importlib.import_module(f"models.kinds.{kind}").build
        return Tokenizer(make(words, size))
    except ImportError as error:
        rule = f"this kind needs {error.name}"
        remedy = "Install the extra: pip install 'firstlight[zh]'" if error.name == "jieba" else f"Install {error.name}"
        raise ConfigError("tokens.kind", kind, rule, remedy) from error


def take(folder: StageFolder, config: TokensConfig) -> None:
    """Write the tokeniser that ``tokens.file`` holds. Raises ConfigError."""
    options = {"pattern": config.file_pattern} if config.file_form == "tiktoken" else {}
    try:
        made = Tokenizer.imported(config.file_form, _read(config.file), config.file_end or None, **options)
    except ValueError as error:
        rule = f"no vocabulary of the form {config.file_form}: {error}"
        raise ConfigError("tokens.file", config.file, rule, "Give another file, or say its tokens.file_form") from error
    if made.vocab_size > config.vocab_size:
        rule = f"at least the {made.vocab_size} ids of {config.file}, ours included"
        raise ConfigError("tokens.vocab_size", config.vocab_size, rule, "Raise it, and model.vocab_size with it")
    folder.write_bytes(TOKENIZER, made.to_json().encode(), rows=1)


def outside(config: "RunConfig") -> str:
    """What the stage reads from outside of the run: the content of ``tokens.file``, or a library that only its kind
    uses. Raises ConfigError."""
    tokens = config.tokens
    if tokens.file:
        return digest.of_bytes(_read(tokens.file))
    library = _LIBRARIES.get(tokens.kind, "")
    try:
        return f"{library} {version(library)}" if library else ""
    except PackageNotFoundError:
        return f"{library} absent"  # the stage says so itself, when it is made


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(
            "tokens.file", path, f"cannot be read ({error.strerror})", "Give a file that exists"
        ) from error
