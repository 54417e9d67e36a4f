"""How text is cut: chunk by chunk as at once, and as a byte-level pre-tokeniser does it."""

from collections import Counter

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from models.words import LONGEST, Counting, Words, byte_letters, cutter

# Blanks of every kind, what looks like one, and what the expression treats on its own.
STRANGE = " \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u1680\u180e\u2003\u200b\u2028\u202f\u205f\u3000\ufeff'sdltv09½٣aé中.!<|\x00"
TEXT = st.text(st.one_of(st.sampled_from(STRANGE), st.characters(exclude_categories=("Cs",))), max_size=60)


def count(*texts: str) -> dict[str, int]:
    counting = Counting()
    counting.add(texts)
    return counting.take()


@settings(max_examples=300, deadline=None)
@given(TEXT, TEXT)
@example("a  b\n\n c \t", " ")
def test_counting_cuts_as_the_finished_tokeniser_does(first: str, second: str) -> None:
    whole = Counter(word for text in (first, second) for word, _ in cutter().pre_tokenize_str(text))
    assert count(first, second) == whole


@settings(max_examples=200, deadline=None)
@given(TEXT)
def test_byte_level_cuts_alike(text: str) -> None:
    byte_level = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    words = [word for word, _ in cutter().pre_tokenize_str(text)]
    assert ["".join(byte_letters()[b] for b in word.encode()) for word in words] == [
        word for word, _ in byte_level.pre_tokenize_str(text)
    ]


@settings(max_examples=100, deadline=None)
@given(TEXT)
def test_a_further_cut_of_words_is_that_of_the_text(text: str) -> None:
    """The counts of the words serve every kind."""
    further = Counter(word for word, _ in cutter(r"\p{Han}").pre_tokenize_str(text))
    words = Words.of(count(text)).split(r"\p{Han}")
    assert dict(zip(words.texts, words.counts.tolist(), strict=True)) == further


def test_words_stand_by_count_then_bytes() -> None:
    words = Words.of({"b": 2, "é": 5, "\U0001f642": 2, "\uffee": 2, "a": 2})
    assert words.texts == ["é", "a", "b", "\uffee", "\U0001f642"]
    assert words.texts == sorted(words.texts, key=lambda w: (-{"é": 5}.get(w, 2), w.encode()))
    assert words.characters() == [("é", 5), ("a", 2), ("b", 2), ("\uffee", 2), ("\U0001f642", 2)]


def test_words_as_arrays() -> None:
    words = Words(["aé", "🙂a"], np.array([2**40, 3]))
    data, lengths = words.bytes()
    assert bytes(data) == "aé🙂a".encode() and lengths.tolist() == [3, 5]
    symbols, lengths = words.symbols({"a": 7, "🙂": 9})
    assert symbols.tolist() == [7, -1, 9, 7] and lengths.tolist() == [2, 2]
    assert words.characters() == [("a", 2**40 + 3), ("é", 2**40), ("🙂", 3)]
    assert Words.of({}).characters() == []


def test_a_word_that_is_too_long_is_left_out_and_counted() -> None:
    counting = Counting()
    counting.add(["a" * LONGEST, "b" * (LONGEST + 1) + " c", "d" * 200_000, "!" * 70_000 + " " * 200_000 + "e"])
    assert set(counting.take()) == {"a" * LONGEST, " c", " e"}
    assert counting.too_long == 1 + 4 + 2 + 4  # 65,536 characters are cut at once
