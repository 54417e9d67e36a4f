"""Settings of decontamination. Schemas only."""

from typing import Literal

from cluster.fields import Config, execution, result


class DecontaminateConfig(Config):
    """Training text that holds held-out text or benchmark items is cut, or its document dropped."""

    words: int = result(13, "Words in an n-gram", unit="words", ge=2, le=64)
    common: int = result(
        5,
        "An n-gram in more training documents than this is boilerplate, but for one with a whole text of an item",
        unit="documents",
        ge=1,
    )
    min_hits: int = result(8, "Shared n-grams, boilerplate apart, that condemn a document", unit="n-grams", ge=1)
    min_words: int = result(
        8, "A benchmark item of fewer words than an n-gram counts as one, from this many words", unit="words", ge=1
    )
    mode: Literal["drop", "cut"] = result(
        "drop", "Drop the whole document, or cut the shared span, grown to sentence ends", unit="none"
    )
    against: tuple[str, ...] = execution(
        (),
        "Benchmark files (.jsonl .csv .tsv .parquet), folders or globs; a file is a benchmark by its stem. What they"
        " hold counts",
        unit="none",
    )
    max_loss: float = execution(
        0.2, "A source that loses a larger share of its bytes is reported", unit="fraction", gt=0, le=1
    )
