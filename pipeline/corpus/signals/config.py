"""Settings of the signals; docs/corpus-signals.md says what each measures, and its limits.

A signal is measured for the sources that name it in ``rules``. No threshold here drops a document until it is set.
"""

from cluster.fields import Config, result


def _files(description: str) -> tuple[str, ...]:
    # A result field: what the files hold is in the fingerprint without their names, and so would not show that the
    # good and the bad changed places.
    value: tuple[str, ...] = result((), description, unit="none")
    return value


def _samples(what: str) -> tuple[str, ...]:
    return _files(
        f"Files or globs of {what} samples: .jsonl or .jsonl.gz with a text in each line; another file is one sample"
    )


class LearnerConfig(Config):
    """A linear classifier over hashed words and pairs of words."""

    buckets: int = result(
        2**18, "Features that words and pairs of words are hashed to", unit="features", ge=16, le=2**24
    )
    sample_bytes: int = result(
        32_000_000, "Most text of the good, and of the bad, that is learnt from", unit="bytes", ge=1_000
    )
    text_characters: int = result(
        65_536, "Text of a document that is looked at, from its start", unit="characters", ge=256
    )
    epochs: int = result(5, "Passes over the samples", unit="epochs", ge=1, le=1_000)
    learning_rate: float = result(0.1, "Size of a step (AdaGrad)", unit="none", gt=0, le=100)
    heldout: float = result(0.2, "Share of the samples that only measures", unit="fraction", gt=0, lt=1)


class LanguageConfig(Config):
    """The language of the whole text."""

    keep: tuple[str, ...] = result((), "ISO 639 codes of languages to keep; empty keeps all", unit="none")
    min_score: float = result(
        0.0, "Smallest probability of the language; below it a document is dropped", unit="fraction", ge=0, le=1
    )


class SpellingConfig(Config):
    """English words that the dictionary does not know."""

    max_misspelt: float = result(1.0, "Largest share of unknown words; 1 drops nothing", unit="fraction", ge=0, le=1)
    min_words: int = result(20, "Fewest judged words for which the share says something", unit="words", ge=1)
    correct: bool = result(False, "Whether an unknown word with one clear suggestion is replaced", unit="none")


class ToxicityConfig(Config):
    """Abusive language: a list of words, and a classifier where samples of both kinds are given."""

    words: tuple[str, ...] = _files("Text files of words to add to the list, one a line")
    good: tuple[str, ...] = _samples("harmless")
    bad: tuple[str, ...] = _samples("abusive")
    max_toxicity: float = result(1.0, "Largest score; 1 drops nothing", unit="fraction", ge=0, le=1)
    learner: LearnerConfig = result(LearnerConfig(), "The classifier", unit="none")


class QualityConfig(Config):
    """A classifier of the user's good and bad samples."""

    good: tuple[str, ...] = _samples("good")
    bad: tuple[str, ...] = _samples("bad")
    min_quality: float = result(0.0, "Smallest score; 0 drops nothing", unit="fraction", ge=0, le=1)
    learner: LearnerConfig = result(LearnerConfig(), "The classifier", unit="none")


class SignalsConfig(Config):
    """Each signal's settings; ``sources.rules`` says which are measured for a source."""

    language: LanguageConfig = result(LanguageConfig(), "Language", unit="none")
    spelling: SpellingConfig = result(SpellingConfig(), "Spelling", unit="none")
    toxicity: ToxicityConfig = result(ToxicityConfig(), "Abusive language", unit="none")
    quality: QualityConfig = result(QualityConfig(), "Trained quality", unit="none")
