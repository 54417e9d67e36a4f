"""Who is spoken of: mentions of women and men, religions and nationalities, as shares of a text's words. Drops nothing.

A signal is there only where its group is mentioned, so its histogram in the report counts the documents that do; two
of them side by side show an imbalance. Words, not people: docs/corpus-signals.md states the limits.
"""

import re
from collections import Counter

from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.families import Family, Learnt, Verdict

PREFIX = "mentions_"

WORDS = {
    "female": "she her hers herself woman women girl girls lady ladies mother mothers mom mum daughter daughters "
    "sister sisters wife wives aunt aunts grandmother grandmothers niece nieces queen queens mrs ms actress actresses",
    "male": "he him his himself man men boy boys gentleman gentlemen father fathers dad son sons brother brothers "
    "husband husbands uncle uncles grandfather grandfathers nephew nephews king kings mr sir actor actors",
    "atheism": "atheist atheists atheism",
    "buddhism": "buddhist buddhists buddhism",
    "christianity": "christian christians christianity catholic catholics catholicism protestant protestants church",
    "hinduism": "hindu hindus hinduism",
    "islam": "muslim muslims islam islamic mosque mosques quran koran",
    "judaism": "jew jews jewish judaism synagogue synagogues",
    "sikhism": "sikh sikhs sikhism",
}
"""Group -> its words, in any case."""

NAMES = {
    "african": "Africa African Africans",
    "american": "America American Americans",
    "arab": "Arab Arabs Arabia Arabian",
    "australian": "Australia Australian Australians",
    "brazilian": "Brazil Brazilian Brazilians",
    "british": "Britain British English England Scottish Scotland Welsh Wales",
    "canadian": "Canada Canadian Canadians",
    "chinese": "China Chinese",
    "egyptian": "Egypt Egyptian Egyptians",
    "french": "France French Frenchman Frenchwoman",
    "german": "Germany German Germans",
    "indian": "India Indian Indians",
    "indonesian": "Indonesia Indonesian Indonesians",
    "iranian": "Iran Iranian Iranians Persian Persians",
    "irish": "Ireland Irish",
    "israeli": "Israel Israeli Israelis",
    "italian": "Italy Italian Italians",
    "japanese": "Japan Japanese",
    "korean": "Korea Korean Koreans",
    "mexican": "Mexico Mexican Mexicans",
    "nigerian": "Nigeria Nigerian Nigerians",
    "pakistani": "Pakistan Pakistani Pakistanis",
    "palestinian": "Palestine Palestinian Palestinians",
    "polish": "Poland Polish Poles",
    "russian": "Russia Russian Russians",
    "spanish": "Spain Spanish Spaniard Spaniards",
    "turkish": "Turkey Turkish Turks",
    "ukrainian": "Ukraine Ukrainian Ukrainians",
    "vietnamese": "Vietnam Vietnamese",
}
"""Group -> its names, as they are written: polish is something else."""

_GROUP = {name: group for group, names in NAMES.items() for name in names.split()}
_ANY_CASE = {word: group for group, words in WORDS.items() for word in words.split()}
_WORD = re.compile(r"[^\W\d_]+")


def make(config: CorpusConfig, learnt: Learnt) -> Family:
    """The judge of one document."""
    return lambda row, source: Verdict(signals=signals(row["text"]))


def signals(text: str) -> dict[str, float | str]:
    """``mentions_GROUP`` for each group that is mentioned, and ``female_share`` of the mentions of women and men."""
    words = Counter(_WORD.findall(text))
    total = sum(words.values())
    groups: Counter[str] = Counter()
    for word, count in words.items():
        group = _GROUP.get(word) or _ANY_CASE.get(word.lower())
        if group:
            groups[group] += count
    found: dict[str, float | str] = {PREFIX + group: round(groups[group] / total, 6) for group in sorted(groups)}
    if both := groups["female"] + groups["male"]:
        found["female_share"] = round(groups["female"] / both, 4)
    return found
