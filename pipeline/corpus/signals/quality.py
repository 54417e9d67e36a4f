"""How much a document is like the user's good samples, and how little like the bad ones: the signal ``quality``.

The survivor of duplicates is chosen by this signal where the rule asks for it.
"""

import json

from cluster.errors import ConfigError
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.families import Family, Learnt, Verdict
from pipeline.corpus.signals import linear, samples
from pipeline.corpus.signals.config import QualityConfig

FIELD = "corpus.signals.quality"
MODEL, FACTS = "learnt/quality.bin", "learnt/quality.json"


def outside(config: CorpusConfig) -> list[str]:
    """The files of samples."""
    own = config.signals.quality
    return samples.files(f"{FIELD}.good", own.good) + samples.files(f"{FIELD}.bad", own.bad)


def learn(config: CorpusConfig) -> dict[str, bytes]:
    """The classifier, and what its held-out samples say of it. Raises ConfigError without samples of both kinds."""
    own = config.signals.quality
    for kind, patterns in (("good", own.good), ("bad", own.bad)):
        if not patterns:
            remedy = "Give files of samples, or leave quality out of the sources' rules"
            raise ConfigError(f"{FIELD}.{kind}", [], "quality is learnt from samples", remedy)
    model = samples.learn(FIELD, own.good, own.bad, own.learner)
    return {MODEL: linear.pack(model), FACTS: json.dumps(model.facts, sort_keys=True).encode()}


def make(config: CorpusConfig, learnt: Learnt) -> Family:
    """The judge of one document."""
    model = linear.unpack(learnt(MODEL), MODEL)
    return lambda row, source: judge(row["text"], config.signals.quality, model)


def judge(text: str, config: QualityConfig, model: linear.Linear) -> Verdict:
    """The signal, and the rule that it is large enough."""
    score = round(model.score(text), 4)
    low = score < config.min_quality
    return Verdict(signals={"quality": score}, broken=(f"quality < {config.min_quality:g}", score) if low else None)
