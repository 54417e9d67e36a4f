"""Settings of the tokens stage. Schemas only: no pyarrow, no ray."""

from typing import Literal, Self

from pydantic import model_validator

from cluster.errors import ConfigError
from cluster.fields import Config, execution, result

Kind = Literal["bytes", "fallback", "wordpiece", "unigram", "word", "word_zh", "character"]
Form = Literal["huggingface", "sentencepiece", "tiktoken"]


class TokensConfig(Config):
    """The tokeniser, the encoded pieces and the mixture of the sources."""

    vocab_size: int = result(
        4096, "Vocabulary of the tokeniser, special tokens included", unit="tokens", ge=264, le=1_048_576
    )
    kind: Kind = result(
        "bytes",
        "Byte-level BPE, BPE with byte fallback, WordPiece, Unigram, words (word_zh: Chinese cut by jieba), characters",
        unit="none",
    )
    sample: float = result(
        1.0, "Share of the training documents whose words are counted, by document hash", unit="fraction", gt=0, le=1
    )
    max_words: int = result(
        1_000_000, "Distinct words that the tokeniser is trained on, the most frequent", unit="words", ge=1, le=2**26
    )
    count_parts: int = execution(8, "Parts of the words, by hash, that are added up apart", unit="parts", ge=1, le=4096)
    file: str = execution("", "A vocabulary to take instead of training one; its content counts", unit="path")
    file_form: Form = result("huggingface", "tokenizer.json, a SentencePiece model, or tiktoken's ranks", unit="none")
    file_end: str = result("", "The file's own token that ends a text, which becomes <|end|>", unit="none")
    file_pattern: str = result("cl100k", "How tiktoken's ranks cut text: gpt2, cl100k, o200k or regex", unit="none")
    weights: dict[str, float] = result({}, "Weight of a source in the mixture, 1 where none is given", unit="none")
    temperature: float = result(
        1.25,
        "Share of a source ~ weight x tokens ** (1 / temperature): 1 is as it comes, more is evener",
        unit="none",
        gt=0,
    )
    max_epochs: float = result(4.0, "Most passes over one source; the others take what is beyond", unit="epochs", gt=0)
    epochs: dict[str, float] = result({}, "The same for single sources, in place of max_epochs", unit="epochs")
    budgets: dict[str, int] = result({}, "Tokens that a source gives, whatever its weight", unit="tokens")
    task_cpus: float = execution(1.0, "CPUs that one task asks for", unit="CPUs", gt=0, le=64)

    @model_validator(mode="after")
    def _sources(self) -> Self:
        for name in ("weights", "epochs", "budgets"):
            for source, value in getattr(self, name).items():
                if not 0 <= value < float("inf"):
                    raise ConfigError(f"tokens.{name}.{source}", value, "a number of at least 0", "Give 0 or more")
        return self
