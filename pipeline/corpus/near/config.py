"""Settings of deduplication. Schemas only."""

from typing import Literal, Self

from pydantic import model_validator

from cluster.errors import ConfigError
from cluster.fields import Config, execution, result

Scope = Literal["source", "corpus"]
Rule = Literal["priority", "quality", "length", "id"]


class DedupConfig(Config):
    """Exact duplicates, and near-duplicates: MinHash proposes, the text decides."""

    exact: Scope = result("corpus", "Where a document with the same text counts as a duplicate", unit="none")
    enabled: bool = result(True, "Whether near-duplicates are removed", unit="none")
    scope: Scope = result("corpus", "Where a document with a similar text counts as a duplicate", unit="none")
    words: int = result(5, "Words in a shingle", unit="words", ge=1, le=32)
    bands: int = result(18, "LSH bands of the MinHash signature", unit="bands", ge=1, le=64)
    rows: int = result(7, "Hash values in a band", unit="values", ge=1, le=64)
    threshold: float = result(
        0.75, "Jaccard of the shingle sets from which one is removed", unit="fraction", gt=0, le=1
    )
    containment: float = result(
        0.95,
        "Share of a shorter document's shingles in a kept one from which it is removed; 0 removes none for it",
        unit="fraction",
        ge=0,
        le=1,
    )
    survivor: tuple[Rule, ...] = result(
        ("priority", "quality", "length", "id"),
        "What is preferred among like documents: higher priority of the source, quality, length, or smaller id",
        unit="none",
        min_length=1,
    )
    bucket_pairs: int = result(
        8, "Kept documents that one is compared with, and that one band key remembers", unit="documents", ge=1
    )
    rounds: int = result(64, "Most rounds of the search for clusters", unit="rounds", ge=1, le=1_000)
    max_loss: float = execution(
        0.5, "A source that loses a larger share of its bytes is reported", unit="fraction", gt=0, le=1
    )
    index: bool = result(
        True,
        "Whether the band keys of what is kept and held out are written, for later runs to compare with",
        unit="none",
    )
    against: tuple[str, ...] = execution(
        (),
        "Directories of earlier runs whose kept and held-out documents count as seen. What they hold counts",
        unit="none",
    )

    @model_validator(mode="after")
    def _once(self) -> Self:
        for field in ("survivor", "against"):
            values = getattr(self, field)
            for value in values:
                if values.count(value) > 1:
                    raise ConfigError(f"corpus.dedup.{field}", value, "it is named twice", "Name it once")
        return self
