"""The strings that Unigram begins from, against a count of every substring."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.kinds.seeds import LONGEST, seeds
from models.words import Words

WORDS = st.dictionaries(st.text("ab中", min_size=1, max_size=24), st.integers(1, 2**40), max_size=8)


def by_definition(words: dict[str, int]) -> dict[str, int]:
    """Substrings of 2 to 16 characters that do not always go on with the same character, with count times length."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for start in range(len(word)):
            for end in range(start + 2, min(len(word), start + LONGEST + 1) + 1):
                counts[word[start:end]] += count
    goes_on: Counter[str] = Counter()
    for text, count in counts.items():
        goes_on[text[:-1]] = max(goes_on[text[:-1]], count)
    return {t: n * len(t) for t, n in counts.items() if len(t) <= LONGEST and goes_on[t] < n}


@settings(max_examples=200, deadline=None)
@given(WORDS)
def test_seeds_follow_the_definition(words: dict[str, int]) -> None:
    found = seeds(Words.of(words), 10_000)
    assert dict(found) == by_definition(words) and len(dict(found)) == len(found)
    assert [weight for _, weight in found] == sorted((weight for _, weight in found), reverse=True)
    assert seeds(Words.of(words), 2) == found[:2]


def test_no_words_have_no_seeds() -> None:
    assert seeds(Words([], np.zeros(0, np.int64)), 10) == []
