"""Rank files, imported: ids beside those of tiktoken itself."""

import base64
import importlib
import random
from itertools import pairwise

import pytest

from models.tokenizer import Tokenizer
from tests.models.vocabularies.texts import LINES, varied

tiktoken = pytest.importorskip("tiktoken", reason="the library that is compared with")
LEAF = importlib.import_module("models.vocabularies.tiktoken")


def learnt(pattern: str, merges: int = 250) -> dict[bytes, int]:
    """Ranks as tiktoken's authors train them: the commonest pair in the cut text becomes the next token."""
    import regex

    words = [[bytes([b]) for b in word.encode()] for word in regex.findall(pattern, "\n".join(LINES * 3))]
    ranks = {bytes([byte]): byte for byte in range(256)}
    for _ in range(merges):
        counts: dict[tuple[bytes, bytes], int] = {}
        for word in words:
            for pair in pairwise(word):
                counts[pair] = counts.get(pair, 0) + 1
        if not counts:
            break
        best = max(sorted(counts), key=counts.__getitem__)
        ranks.setdefault(best[0] + best[1], len(ranks))
        for word in words:
            i = 0
            while i < len(word) - 1:
                if (word[i], word[i + 1]) == best:
                    word[i : i + 2] = [best[0] + best[1]]
                i += 1
    return ranks


def file_of(ranks: dict[bytes, int]) -> bytes:
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks.items())


@pytest.mark.parametrize("name", ["gpt2", "cl100k", "o200k", r"[^\s]+|\s+"])
def test_ids_are_those_of_the_library(name: str) -> None:
    pattern = LEAF.PATTERNS.get(name, name)
    ranks = learnt(pattern)
    theirs = tiktoken.Encoding("made", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    ours = Tokenizer.imported("tiktoken", file_of(ranks), pattern=name)
    for text in varied(1000):
        assert ours.encode(text) == theirs.encode_ordinary(text), text
        assert ours.decode(ours.encode(text)) == text
    assert ours.vocab_size == len(ranks) + 4 and ours.end_id == len(ranks) + 1 and ours.unknown_id is None


def test_gpt2s_pattern_cuts_as_the_one_in_the_library() -> None:
    from tiktoken_ext.openai_public import r50k_pat_str

    ranks = learnt(LEAF.PATTERNS["gpt2"])
    theirs = tiktoken.Encoding("made", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={})
    ours = Tokenizer.imported("tiktoken", file_of(ranks), pattern="gpt2")
    assert [ours.encode(text) for text in varied()] == [theirs.encode_ordinary(text) for text in varied()]


def test_ranks_that_nobody_trained_are_followed_too() -> None:
    """Tokens that no merge reaches, and such as two merges could make."""
    draw = random.Random(11)
    for _ in range(10):
        ranks = {bytes([byte]): byte for byte in range(256)}
        for _ in range(200):
            ranks.setdefault(bytes(draw.choices(b"abc ", k=draw.randint(2, 6))), len(ranks))
        theirs = tiktoken.Encoding("m", pat_str=LEAF.PATTERNS["gpt2"], mergeable_ranks=ranks, special_tokens={})
        ours = Tokenizer.imported("tiktoken", file_of(ranks), pattern="gpt2")
        for _ in range(100):
            text = "".join(draw.choices("abc ", k=30))
            assert ours.encode(text) == theirs.encode_ordinary(text), (ranks, text)


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("cl100k_base", "cl100k"), ("o200k_base", "o200k"), ("r50k_base", "gpt2"), ("p50k_base", "gpt2")],
)
def test_the_librarys_own_names_are_known(encoding: str, name: str) -> None:
    assert encoding in tiktoken.list_encoding_names()
    data = file_of(learnt(LEAF.PATTERNS[name], 20))
    assert LEAF.load(data, encoding) == LEAF.load(data, name)


@pytest.mark.parametrize("word", ["cl100k_bse", "gpt-4", "o200k_harmony", "llama3", ""])
def test_a_word_that_is_no_name_is_no_pattern(word: str) -> None:
    with pytest.raises(ValueError, match=r"file_pattern = .* is no known pattern: take cl100k, gpt2, .*o200k"):
        LEAF.load(file_of({bytes([b]): b for b in range(256)}), word)


@pytest.mark.parametrize(
    ("data", "pattern", "why"),
    [
        (b"YQ== 0\nnot base64 1\n", "gpt2", "line 2"),
        (b"YQ== 0\nYg== 0\n", "gpt2", "one rank"),
        (b"YQ== 0\n", "gpt2", "255 are missing"),
        (file_of({bytes([b]): b for b in range(256)}), r"\p{N}{1,3}+|\s", "mean other things"),
        (file_of({bytes([b]): b for b in range(256)}), "(", "no regular expression"),
    ],
)
def test_mistakes_are_told(data: bytes, pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        LEAF.load(data, pattern)
