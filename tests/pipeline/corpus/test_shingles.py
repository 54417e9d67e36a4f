"""Word n-grams by array operations against a loop."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus import shingles


def naive(text: str, words: int, whole: bool) -> list[tuple[str, ...]]:
    found = shingles.WORD.findall(text.lower())
    if whole and 0 < len(found) < words:
        return [tuple(found)]
    return [tuple(found[i : i + words]) for i in range(len(found) - words + 1)]


def sample_texts() -> list[str]:
    draw = random.Random(3)
    alphabet = "ab AB_1 .\n-\u00e9\u00c9\u201c\u4e16"
    made = ["".join(draw.choices(alphabet, k=draw.randint(0, 60))) for _ in range(300)]
    return ["", " ", "one", *made, "x" * 10, "the end of the last text of all"]


def test_equal_n_grams_have_equal_hashes_and_others_differ() -> None:
    texts = sample_texts()
    for words, whole in ((1, False), (3, True), (5, False), (5, True)):
        made = shingles.grams(texts, words, whole)
        pairs = set()
        for i, text in enumerate(texts):
            expected = naive(text, words, whole)
            assert len(made.of(i)) == len(expected), (words, whole, text)
            pairs |= set(zip(expected, made.of(i).tolist(), strict=True))
        assert len({gram for gram, _ in pairs}) == len({value for _, value in pairs}) == len(pairs)


def test_case_wraps_and_punctuation_do_not_count() -> None:
    plain = shingles.grams(["to be or not to be that is the question"], 5).hashes
    wrapped = shingles.grams(['> "To be, or\n> not to be:\n\n    **that** is_the question?"'], 5).hashes
    assert (plain == wrapped).all()


@pytest.mark.parametrize(
    "text",
    ["\u4e2d\u6587", "\u3072\u3089", "\u30ab\u30bf", "\u0e01\u0e02", "\u0e81\u0e82", "\u1780\u1781", "\u1000\u1001"],
)
def test_a_letter_of_a_script_without_blanks_is_a_word(text: str) -> None:
    """Chinese, hiragana, katakana, Thai, Lao, Khmer, Burmese."""
    a, b = text[0], text[1]
    assert shingles.grams([f"x{text}, y"], 2).hashes.tolist() == shingles.grams([f"x {a} {b} y"], 2).hashes.tolist()
    assert shingles.WORD.findall(f"x{text}, y1") == ["x", a, b, "y1"]


def test_letters_of_other_scripts_are_no_words() -> None:
    assert shingles.WORD.findall("\ud55c\uad6d\uc5b4 \u05e9\u05dc\u05d5\u05dd caf\u00e9_1") == [
        "\ud55c\uad6d\uc5b4",
        "\u05e9\u05dc\u05d5\u05dd",
        "caf\u00e9",
        "1",
    ]


def test_chunks_do_not_show() -> None:
    texts = [f"{i} some words of text number {i} and some more" * 9 for i in range(2000)]
    whole = shingles.grams(texts, 5)
    parts = [shingles.grams([text], 5).hashes for text in texts[::97]]
    assert all((whole.of(i * 97) == part).all() for i, part in enumerate(parts))


def test_hashes_are_frozen() -> None:
    """Scheme words-2: another value would make old signatures and indexes meaningless."""
    made = shingles.grams(["The quick brown fox jumps over the lazy dog"], 5).hashes
    assert shingles.SCHEME == "words-2"
    assert made[:2].tolist() == FROZEN


def test_low_bits_are_even() -> None:
    made = shingles.grams([" ".join(f"w{i}" for i in range(20_000))], 5).hashes
    counts = np.bincount((made & np.uint64(255)).astype(np.int64), minlength=256)
    assert counts.min() > 40 and counts.max() < 130  # about 78 each


FROZEN = [6762342644518077791, 15899796705026622776]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text() | st.text("aB \u00e9\u00c9\u201c\u201d\u4e16\u0301_-\ud800\U0001f600"), max_size=5))
def test_characters_of_all_kinds(texts: list[str]) -> None:
    made = shingles.grams(texts, 2)
    few, shingles.FEW = shingles.FEW, 0  # by one expression instead of one character after the other
    try:
        again = shingles.grams(texts, 2)
    finally:
        shingles.FEW = few
    assert made.hashes.tolist() == again.hashes.tolist()
    assert np.diff(made.ends, prepend=0).tolist() == [len(naive(text, 2, False)) for text in texts]
