"""Settings of the corpus stage. Schemas only: no pyarrow, no ray. Each part stands beside the code that it is for."""

from pydantic import Field, field_validator, model_validator

from cluster.errors import ConfigError
from cluster.fields import Config, execution, result
from pipeline.corpus.cleaning.config import CleaningConfig
from pipeline.corpus.leaks.config import DecontaminateConfig
from pipeline.corpus.near.config import DedupConfig
from pipeline.corpus.readers.config import PACKAGED, Source
from pipeline.corpus.rules.config import RulesConfig
from pipeline.corpus.signals.config import SignalsConfig
from pipeline.corpus.substring.config import SubstringConfig


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
    def _ordered(self) -> "ItemsConfig":
        if self.max_words < self.min_words:
            rule = f"at least min_words = {self.min_words}"
            raise ConfigError("corpus.items.max_words", self.max_words, rule, "Raise it, or lower min_words")
        return self


def _five() -> tuple[Source, ...]:
    return tuple(Source(name=kind, kind=kind) for kind in PACKAGED)


class CorpusConfig(Config):
    """Sources, cleaning, rules, deduplication, the held-out split and its items."""

    sources: tuple[Source, ...] = Field(
        default_factory=_five,
        min_length=1,
        description="Sources of text, each with a name of its own",
        json_schema_extra={"mark": "result", "unit": "none"},
    )
    max_record_bytes: int = result(1_048_576, "A longer record is set aside", unit="bytes", ge=1_024, le=2**30)
    pieces: int = result(
        0,
        "Pieces of each table of documents; 0: one for each 64 MB of input, at least 4",
        unit="pieces",
        ge=0,
        le=65_536,
    )
    heldout: float = result(0.02, "Share of documents held out, by document hash", unit="fraction", gt=0, lt=0.5)
    heldout_documents: int = result(5, "Fewest held-out documents of a source", unit="documents", ge=1)
    cleaning: CleaningConfig = result(CleaningConfig(), "Unicode, markup, emoji, privacy", unit="none")
    rules: RulesConfig = result(RulesConfig(), "Thresholds of the families of rules", unit="none")
    signals: SignalsConfig = result(SignalsConfig(), "Language, spelling, toxicity, quality", unit="none")
    dedup: DedupConfig = result(DedupConfig(), "Exact and near-duplicates", unit="none")
    substring: SubstringConfig = result(SubstringConfig(), "Repeated substrings", unit="none")
    decontaminate: DecontaminateConfig = result(
        DecontaminateConfig(), "Held-out text and benchmarks in training text", unit="none"
    )
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

    @model_validator(mode="after")
    def _used(self) -> "CorpusConfig":
        """A setting of a family that judges no source would do nothing, silently."""
        named = {name for source in self.sources for name in source.rules}
        for part in ("rules", "signals"):
            for family, own in getattr(self, part):
                changed = [(field, value) for field, value in own if value != getattr(type(own)(), field)]
                if changed and family not in named:
                    (field, value), rule = changed[0], "no source names this family in its rules"
                    remedy = f'Add "{family}" to the rules of a source, or leave it out'
                    raise ConfigError(f"corpus.{part}.{family}.{field}", value, rule, remedy)
        return self
