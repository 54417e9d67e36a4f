"""Abusive language, by a list of words, and by a classifier where the user gives samples. Drops nothing until asked to.

The list finds words, not meaning: it misses abuse in other words, and finds quotations, dialect and words that a group
has reclaimed for itself. docs/corpus-signals.md has its figures.
"""

import json
from functools import partial
from importlib.resources import files

from cluster.errors import ConfigError
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.families import Family, Learnt, Verdict
from pipeline.corpus.signals import linear, samples
from pipeline.corpus.signals.config import ToxicityConfig
from pipeline.corpus.signals.words import Hashed, hash_of

FIELD = "corpus.signals.toxicity"
MODEL, FACTS, WORDS = "learnt/toxicity.bin", "learnt/toxicity.json", "learnt/toxicity_words.txt"
OWN = "abuse_en.txt"


def outside(config: CorpusConfig) -> list[str]:
    """The user's lists and samples."""
    own = config.signals.toxicity
    named = (("words", own.words), ("bad", own.bad), ("good", own.good))
    return [path for name, patterns in named for path in samples.files(f"{FIELD}.{name}", patterns)]


def learn(config: CorpusConfig) -> dict[str, bytes]:
    """Hashes of the user's words, and the classifier with what its held-out samples say of it, if there are any."""
    own = config.signals.toxicity
    pieces: dict[str, bytes] = {}
    if own.words:
        listed = samples.word_list(f"{FIELD}.words", own.words)
        pieces[WORDS] = "\n".join(sorted(map(hash_of, listed))).encode()
    if bool(own.good) != bool(own.bad):
        empty = "bad" if own.good else "good"
        rule = "the classifier needs samples of both kinds"
        raise ConfigError(f"{FIELD}.{empty}", [], rule, "Give these too, or leave out the others")
    if own.bad:
        model = samples.learn(FIELD, own.bad, own.good, own.learner)
        pieces |= {MODEL: linear.pack(model), FACTS: json.dumps(model.facts, sort_keys=True).encode()}
    return pieces


def make(config: CorpusConfig, learnt: Learnt) -> Family:
    """The judge of one document."""
    own = config.signals.toxicity
    added = learnt(WORDS).decode().split() if own.words else []
    listed = Hashed([*own_list(), *added])
    model = linear.unpack(learnt(MODEL), MODEL) if own.bad else None
    judged = partial(judge, config=own, listed=listed, model=model)
    return lambda row, source: judged(row["text"])


def own_list() -> list[str]:
    """Hashes of the list that comes with this: English obscenities and slurs with hardly another meaning."""
    lines = files(__package__).joinpath(OWN).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def judge(text: str, config: ToxicityConfig, listed: Hashed, model: linear.Linear | None) -> Verdict:
    """The signals ``toxic_words``, the share of sentences with a listed word, and ``toxicity``, the classifier's score
    or the same where there is none; and the rule that it is small enough."""
    share = round(listed.share(text), 4)
    score = round(model.score(text), 4) if model else share
    high = score > config.max_toxicity
    broken = (f"toxicity > {config.max_toxicity:g}", score) if high else None
    return Verdict(signals={"toxic_words": share, "toxicity": score}, broken=broken)
