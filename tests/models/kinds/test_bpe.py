"""Merges from counts: against the definition, against the tokenizers library, and beyond 32 bits."""

import json
import sysconfig
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.kinds import bpe
from models.kinds import bytes as byte_level
from models.tokenizer import Tokenizer
from models.words import Counting, Words

FEW = st.dictionaries(st.text("abc", min_size=1, max_size=12), st.integers(1, 9), max_size=8)
TEXTS = st.lists(st.text(st.sampled_from("abAB 1\n'é中🙂s"), max_size=40), max_size=6)


def learn(words: dict[str, int], size: int, alphabet: str = "abc") -> bpe.Learnt:
    symbols, lengths = Words.of(words).symbols({letter: i for i, letter in enumerate(alphabet)})
    return bpe.learn(symbols, lengths, Words.of(words).counts, alphabet, size)


def by_definition(words: dict[str, int], size: int, alphabet: str = "abc") -> list[tuple[str, str]]:
    """Counts every pair anew for each merge."""
    tokens = list(alphabet)
    split = {word: list(word) for word in words}
    merges = []
    while len(tokens) < size:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, parts in split.items():
            for pair in pairwise(parts):
                pairs[pair] += words[word]
        if not pairs:
            break
        a, b = min(pairs, key=lambda pair: (-pairs[pair], tokens.index(pair[0]), tokens.index(pair[1])))
        for parts in split.values():
            i = 0
            while i < len(parts) - 1:
                if parts[i] == a and parts[i + 1] == b:
                    parts[i : i + 2] = [a + b]
                i += 1
        assert a + b not in tokens  # a token is made by one merge only
        tokens.append(a + b)
        merges.append((a, b))
    return merges


@settings(max_examples=200, deadline=None)
@given(FEW, st.integers(3, 40))
def test_merges_follow_the_definition(words: dict[str, int], size: int) -> None:
    learnt = learn(words, size)
    assert learnt.pairs() == by_definition(words, size)
    assert learnt.tokens == [*"abc", *("".join(pair) for pair in learnt.pairs())]


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.integers(260, 340))
def test_the_tokeniser_is_that_of_the_library(texts: list[str], size: int) -> None:
    assert trained(texts, size) == Tokenizer.train(texts, size).to_json()


def test_the_tokeniser_is_that_of_the_library_on_real_text() -> None:
    texts, size = [], 0
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        text = path.read_text(encoding="utf-8", errors="replace")
        texts.append(text)
        size += len(text)
        if size > 2_000_000:
            break
    assert size > 2_000_000
    ours, theirs = json.loads(trained(texts, 4096)), json.loads(Tokenizer.train(texts, 4096).to_json())
    assert len(ours["model"]["merges"]) == 4096 - 260
    assert ours == theirs


def trained(texts: list[str], size: int) -> str:
    counting = Counting()
    counting.add(texts)
    return Tokenizer(byte_level.build(Words.of(counting.take()), size)).to_json()


def test_counts_are_64_bit() -> None:
    """In 32 bits "ab" would have been seen twice only."""
    assert learn({"ab": 2**32 + 2, "bc": 3}, 4).pairs() == [("a", "b")]
    small = {"abcab": 3, "cabc": 5, "bbb": 4, "aa": 1}
    assert learn({w: n << 40 for w, n in small.items()}, 20) == learn(small, 20)
    assert by_definition(small, 20) == learn(small, 20).pairs()


def test_ties_are_settled_by_ids() -> None:
    assert learn({"cb": 2, "ca": 2, "ba": 2}, 4).pairs() == [("b", "a")]
    assert learn({"ba": 2, "bc": 2}, 4).pairs() == [("b", "a")]


def test_a_row_of_equal_symbols_is_merged_from_the_left() -> None:
    learnt = learn({"aaaaa": 1, "aaa": 1}, 10)
    assert learnt.pairs() == [("a", "a"), ("aa", "a"), ("aa", "aaa")] == by_definition({"aaaaa": 1, "aaa": 1}, 10)


def test_a_symbol_below_zero_parts_a_word() -> None:
    symbols = np.array([0, 1, -1, 0, 1, 1], np.int32)
    learnt = bpe.learn(symbols, np.array([6]), np.array([7]), "ab", 10)
    assert learnt.pairs() == [("a", "b"), ("ab", "b")]


def test_the_mark_inside_a_word_is_written_once() -> None:
    learnt = bpe.learn(np.array([0, 1, 1], np.int32), np.array([3]), np.array([1]), ["a", "##a"], 10, prefix="##")
    assert learnt.tokens == ["a", "##a", "aa", "aaa"]


def test_no_words_make_no_merges() -> None:
    assert learn({}, 10) == bpe.Learnt(list("abc"), [])
    assert learn({"a": 3}, 10).merges == []
