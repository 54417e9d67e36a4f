"""Settings of the corpus stage. Schemas only: no pyarrow, no ray."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from cluster.errors import ConfigError
from cluster.fields import Config, execution, result

Kind = Literal["plays", "chats", "code", "docs", "questions", "jsonl", "text"]
PACKAGED: tuple[Kind, ...] = ("plays", "chats", "code", "docs", "questions")
Markup = Literal["auto", "none", "entities", "markdown"]


class Source(Config):
    """One source of text. Kinds with a package need no path: their files come with it."""

    name: str = result(
        ..., "Name of the source; part of its documents' ids", unit="none", pattern=r"^[a-z0-9_-]{1,40}$"
    )
    kind: Kind = result(..., "How its files are read", unit="none")
    path: str = execution(
        "", "A file, a folder or a glob; empty for the kind's package. What it holds counts, not its name", unit="none"
    )
    text_field: str = result("text", "Field of a jsonl record that holds the text", unit="none")
    markup: Markup = result("auto", "Markup to turn into text; auto decides by kind", unit="none")

    @model_validator(mode="after")
    def _has_a_path(self) -> Self:
        if not self.path and self.kind not in PACKAGED:
            rule = f"a source of kind {self.kind} needs a path"
            raise ConfigError(f"corpus.sources.{self.name}.path", self.path, rule, "Give a file, a folder or a glob")
        return self


class FilterConfig(Config):
    """Thresholds of the quality rules; pipeline/corpus/filters.py says what each measures."""

    min_words: int = result(2, "Fewest words of a document", unit="words", ge=0)
    min_speakers: int = result(2, "Fewest speakers of a conversation", unit="speakers", ge=0)
    max_foreign: float = result(0.3, "Largest share of letters outside the Latin script", unit="fraction", ge=0, le=1)
    max_digits: float = result(0.25, "Largest share of digits among visible characters", unit="fraction", ge=0, le=1)
    min_letters: float = result(0.4, "Smallest share of letters among visible characters", unit="fraction", ge=0, le=1)
    max_repeated_lines: float = result(
        0.5, "Largest share of characters in repeated lines", unit="fraction", ge=0, le=1
    )
    max_word_share: float = result(
        0.25, "Largest share of one word among all, from 20 words", unit="fraction", ge=0, le=1
    )
    max_table: float = result(0.3, "Largest share of characters in lines of one shape", unit="fraction", ge=0, le=1)
    max_word_length: float = result(20.0, "Largest mean length of a word", unit="characters", ge=1)


class DedupConfig(Config):
    """Near-duplicates: MinHash proposes, the text decides."""

    enabled: bool = result(True, "Whether near-duplicates are removed", unit="none")
    words: int = result(5, "Words in a shingle", unit="words", ge=1, le=32)
    bands: int = result(14, "LSH bands of the MinHash signature", unit="bands", ge=1, le=64)
    rows: int = result(8, "Hash values in a band", unit="values", ge=1, le=64)
    threshold: float = result(
        0.75, "Jaccard of the shingle sets from which one is removed", unit="fraction", gt=0, le=1
    )
    bucket_pairs: int = result(
        8, "Documents after itself that one is compared with in a bucket", unit="documents", ge=1
    )


class DecontaminateConfig(Config):
    """Training documents that hold text of the held-out set are removed."""

    words: int = result(13, "Words in an n-gram", unit="words", ge=2, le=64)
    common: int = result(5, "An n-gram in more training documents than this is boilerplate", unit="documents", ge=1)
    min_hits: int = result(8, "Shared n-grams, boilerplate apart, that condemn a document", unit="n-grams", ge=1)
    max_loss: float = result(
        0.2, "A source that loses a larger share of its bytes is reported", unit="fraction", gt=0, le=1
    )


class ItemsConfig(Config):
    """Evaluation items made from held-out text."""

    per_kind: int = result(240, "Items of each kind", unit="items", ge=1, le=100_000)
    shots: int = result(16, "Solved examples of each kind, from other documents", unit="items", ge=1, le=1_000)
    min_words: int = result(60, "Fewest words of a context", unit="words", ge=4)
    max_words: int = result(90, "Most words of a context", unit="words", ge=4)
    answer_words: int = result(14, "Words of a continuation to choose", unit="words", ge=1, le=200)
    common_words: int = result(150, "Commonest words of a source, which are no cloze answers", unit="words", ge=0)
    answers_a_word: int = result(4, "Most cloze items with the same answer", unit="items", ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_words < self.min_words:
            rule = f"at least min_words = {self.min_words}"
            raise ConfigError("corpus.items.max_words", self.max_words, rule, "Raise it, or lower min_words")
        return self


def _five() -> tuple[Source, ...]:
    return tuple(Source(name=kind, kind=kind) for kind in PACKAGED)


class CorpusConfig(Config):
    """Sources, cleaning, deduplication, the held-out split and its items."""

    sources: tuple[Source, ...] = Field(
        default_factory=_five,
        min_length=1,
        description="Sources of text, each with a name of its own",
        json_schema_extra={"mark": "result", "unit": "none"},
    )
    max_record_bytes: int = result(1_048_576, "A longer record is set aside", unit="bytes", ge=1_024, le=2**30)
    pieces: int = result(4, "Pieces of each table of documents", unit="pieces", ge=1, le=65_536)
    heldout: float = result(0.02, "Share of documents held out, by document hash", unit="fraction", gt=0, lt=0.5)
    heldout_documents: int = result(5, "Fewest held-out documents of a source", unit="documents", ge=1)
    filters: FilterConfig = result(FilterConfig(), "Quality rules", unit="none")
    dedup: DedupConfig = result(DedupConfig(), "Near-duplicates", unit="none")
    decontaminate: DecontaminateConfig = result(DecontaminateConfig(), "Held-out text in training text", unit="none")
    items: ItemsConfig = result(ItemsConfig(), "Evaluation items", unit="none")
    group_bytes: int = execution(4_194_304, "Input that one task reads", unit="bytes", ge=1_024)
    task_cpus: float = execution(1.0, "CPUs that one task asks for", unit="CPUs", gt=0, le=64)

    @field_validator("sources")
    @classmethod
    def _distinct(cls, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        names = [source.name for source in sources]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError("corpus.sources", name, "two sources have this name", "Rename one of them")
        return sources
