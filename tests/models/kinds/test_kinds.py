"""Every kind: its ids, its file, what comes back, and that the same words make the same bytes."""

import importlib
import random
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.kinds import word_zh
from models.tokenizer import SPECIALS, Tokenizer
from models.words import Counting, Words

LOSSLESS = ("bytes", "fallback", "unigram")
LOSSY = ("wordpiece", "word", "character")
KINDS = (*LOSSLESS, *LOSSY)
UNKNOWN = 4
TEXTS = [
    *(["the cat sat on the mat, and the other cats sat there.\n\ndef sit(cat):\n    return cat.mat[12]\n"] * 5),
    *(["她们在公园里散步。公园很大，她们很高兴。 Héllo wörld! ## heading, a##b #1\n"] * 3),
]
STRANGE = "the cat sat 12.\n\t #<|>0x41'é公园🙂▁\x00\r\U000f000a散步\u3000e\u0301"
TEXT = st.one_of(st.text(st.sampled_from(STRANGE), max_size=40), st.text(st.characters(exclude_categories=("Cs",))))


def words(texts: Iterable[str] = TEXTS) -> Words:
    counting = Counting()
    counting.add(texts)
    return Words.of(counting.take())


@cache
def made(kind: str, size: int = 400) -> Tokenizer:
    return Tokenizer(importlib.import_module(f"models.kinds.{kind}").build(words(), size))


@pytest.mark.parametrize("kind", KINDS)
def test_ids_and_file(kind: str) -> None:
    tokenizer = made(kind)
    assert [tokenizer.pad_id, tokenizer.end_id, tokenizer.user_id, tokenizer.assistant_id] == [0, 1, 2, 3]
    assert UNKNOWN < tokenizer.vocab_size <= 400
    assert tokenizer.unknown_id == (None if kind in ("bytes", "fallback") else UNKNOWN)
    text = tokenizer.to_json()
    again = Tokenizer.load(text)
    assert again.to_json() == text and again.encode_batch(TEXTS) == tokenizer.encode_batch(TEXTS)
    assert len({tuple(ids) for ids in again.encode_batch(TEXTS)}) == 2


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50, deadline=None)
@given(text=TEXT)
def test_what_is_not_unknown_comes_back(kind: str, text: str) -> None:
    tokenizer = made(kind)
    ids = tokenizer.encode(text)
    assert min(ids, default=UNKNOWN) >= len(SPECIALS)
    if kind in LOSSLESS:
        assert UNKNOWN not in ids or kind != "unigram"
        assert tokenizer.decode(ids) == text
    else:
        assert UNKNOWN in ids or tokenizer.decode(ids) == text


@pytest.mark.parametrize("kind", KINDS)
def test_training_text_comes_back_and_what_was_never_seen_is_unknown(kind: str) -> None:
    tokenizer = made(kind)
    assert [tokenizer.decode(ids) for ids in tokenizer.encode_batch(TEXTS)] == TEXTS
    assert (UNKNOWN in tokenizer.encode("the ж")) == (kind in LOSSY)
    assert UNKNOWN not in tokenizer.encode("tac 在园公") or kind == "word"
    for special in SPECIALS:
        assert min(tokenizer.encode(special)) >= len(SPECIALS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_smallest_vocabulary_and_no_words(kind: str) -> None:
    assert made(kind, 264).vocab_size <= 264
    empty = Tokenizer(importlib.import_module(f"models.kinds.{kind}").build(Words.of({}), 300))
    assert (empty.decode(empty.encode("aé")) == "aé") == (kind in LOSSLESS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_in_which_words_were_met_does_not_matter(kind: str) -> None:
    counts = dict(zip(words().texts, words().counts.tolist(), strict=True))
    order = list(counts)
    random.Random(1).shuffle(order)
    again = Words.of({word: counts[word] for word in order})
    build = importlib.import_module(f"models.kinds.{kind}").build
    assert Tokenizer(build(again, 400)).to_json() == made(kind).to_json()


@pytest.mark.parametrize("kind", ["unigram", "wordpiece"])
def test_another_process_makes_the_same_bytes(kind: str) -> None:
    code = f"from tests.models.kinds.test_kinds import made; import sys; sys.stdout.write(made({kind!r}).to_json())"
    root = Path(__file__).resolve().parents[3]
    runs = [
        subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True).stdout.decode()
        for _ in range(2)
    ]
    assert runs == [made(kind).to_json()] * 2


def test_wordpiece_takes_the_longest_token_and_marks_the_inside() -> None:
    tokenizer = made("wordpiece", 1000)
    tokens = [tokenizer._backend.id_to_token(i) for i in tokenizer.encode("the cats matcat ##")]
    assert tokens == ["the", " cats", " mat", "##c", "##at", " ", "#", "#"]
    assert tokenizer.decode(tokenizer.encode("the cats matcat ##")) == "the cats matcat ##"


def test_unigram_counts_are_64_bit() -> None:
    """In 32 bits the first word would have been seen twice."""
    from models.kinds import unigram

    found = Tokenizer(unigram.build(Words.of({" common": 2**32 + 2, " seldom": 1000}), 275))
    assert len(found.encode(" common")) == 1 < len(found.encode(" seldom"))


def test_a_chinese_word_is_a_character_without_a_segmenter() -> None:
    tokenizer = made("word")
    assert len(tokenizer.encode("公园很大")) == 4


def cut_in_pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(0, len(run), 2)]


def test_the_file_finds_the_longest_words_that_a_segmenter_chose() -> None:
    counted = Words.of({"公园很大": 3, "公园": 2, "很": 1, "散步散": 1, " the": 4, "大사": 1})
    tokenizer = Tokenizer(word_zh.assemble(counted, 300, cut_in_pairs))
    again = Tokenizer.load(tokenizer.to_json())
    said = [again._backend.id_to_token(i) for i in again.encode("很很大公园散步 the 大사公")]
    assert said == ["很", "很大", "公园", "散步", " the", "<|unk|>", "大", "사", "<|unk|>"]


def test_jieba_cuts_chinese_words() -> None:
    pytest.importorskip("jieba", reason="the extra zh is not installed")
    build: Callable[[Words, int], object] = word_zh.build
    tokenizer = Tokenizer(build(words(), 400))
    text = "她们在公园里散步。"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert "公园" in [tokenizer.decode([i]) for i in tokenizer.encode(text)]
    assert Tokenizer(build(words(), 400)).to_json() == tokenizer.to_json()
