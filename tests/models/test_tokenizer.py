import pickle
import random

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import normalizers, pre_tokenizers
from tokenizers.models import Unigram, WordLevel

from models.tokenizer import SPECIALS, Tokenizer
from tests.models.fakes import TEXTS, tiny_tokenizer


def test_any_unicode_comes_back() -> None:
    tokenizer, draw = tiny_tokenizer(), random.Random(0)
    planes = [(0, 0x7F), (0x80, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x10FFFF)]
    texts = ["", " ", "\n\n\t ", "a\x00b", "e\u0301 é", "  two  spaces ", "👩‍👩‍👧", "\r\n", *TEXTS[:2]]
    texts += ["".join(chr(draw.randint(*draw.choice(planes))) for _ in range(50)) for _ in range(200)]
    for text in texts:
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode_batch(texts) == [tokenizer.encode(text) for text in texts]


@pytest.mark.parametrize("reload", [True, False])
def test_special_strings_in_text_are_text(reload: bool) -> None:
    tokenizer = tiny_tokenizer()
    if reload:
        tokenizer = Tokenizer.load(tokenizer.to_json())
    for special in SPECIALS:
        text = f"a {special}b{special}"
        for ids in (tokenizer.encode(text), tokenizer.encode_batch([text])[0]):
            assert min(ids) >= len(SPECIALS)
            assert tokenizer.decode(ids) == text


def test_special_ids() -> None:
    tokenizer = tiny_tokenizer()
    ids = [tokenizer.pad_id, tokenizer.end_id, tokenizer.user_id, tokenizer.assistant_id]
    assert ids == [0, 1, 2, 3]
    assert tokenizer.decode(ids, specials=True) == "".join(SPECIALS)
    assert tokenizer.decode([*ids, *tokenizer.encode("hi")]) == "hi"


def test_digits_stay_single() -> None:
    tokenizer = Tokenizer.train(["1234 1234 1234"] * 50, 300)
    assert len(tokenizer.encode("1234")) == 4


def test_training_is_a_function_of_the_texts() -> None:
    first, second = tiny_tokenizer().to_json(), tiny_tokenizer().to_json()
    assert first == second
    assert Tokenizer.load(first).to_json() == first
    assert Tokenizer.load(first).encode(TEXTS[0]) == tiny_tokenizer().encode(TEXTS[0])


def test_vocabulary_size() -> None:
    assert tiny_tokenizer().vocab_size == 300
    assert Tokenizer.train([], 300).vocab_size == 260
    with pytest.raises(ValueError, match="at least 260"):
        Tokenizer.train(TEXTS, 100)


@pytest.mark.parametrize("text", ["", "{}", "not json"])
def test_what_is_no_tokenizer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a tokenizer"):
        Tokenizer.load(text)


def test_specials_are_served_by_their_names() -> None:
    text = tiny_tokenizer().to_json()
    swapped = text.replace("<|pad|>", "<|x|>").replace("<|end|>", "<|pad|>").replace("<|x|>", "<|end|>")
    tokenizer = Tokenizer.load(swapped)
    assert (tokenizer.end_id, tokenizer.pad_id) == (0, 1) and (Tokenizer.end_id, Tokenizer.pad_id) == (1, 0)
    with pytest.raises(ValueError, match="adopt"):
        Tokenizer.load(text.replace("<|pad|>", "<|fill|>"))


def test_adopting_gives_what_is_missing_and_renames_what_ends_a_text() -> None:
    foreign = tiny_tokenizer().to_json().replace("<|pad|>", "<|fill|>").replace("<|end|>", "<|stop|>")
    ids = tiny_tokenizer().encode(TEXTS[0])
    for end, expected in ((None, (300, 301, 2, 3)), ("<|stop|>", (300, 1, 2, 3))):
        made = Tokenizer.adopt(foreign, end)
        assert (made.pad_id, made.end_id, made.user_id, made.assistant_id) == expected
        assert made.vocab_size == max(expected) + 1 and made.encode(TEXTS[0]) == ids
        assert made.decode([*ids, made.end_id]) == TEXTS[0]
    for end, why in (("<|none|>", "none"), ("<|stop|>", "already")):
        with pytest.raises(ValueError, match=why):
            Tokenizer.adopt(foreign.replace("<|fill|>", "<|end|>") if why == "already" else foreign, end)
    own = tiny_tokenizer()
    assert Tokenizer.adopt(own.to_json()).to_json() == own.to_json()


def test_a_special_that_text_could_say_is_refused_and_cut_by_adopt() -> None:
    backend = tokenizers.Tokenizer(WordLevel({"[UNK]": 0, "<": 1, **dict(zip(SPECIALS, range(2, 6), strict=True))}))
    backend.model.unk_token = "[UNK]"
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens(list(SPECIALS))
    with pytest.raises(ValueError, match="would become special"):
        Tokenizer.load(backend.to_str())
    made = Tokenizer.adopt(backend.to_str())
    assert made.encode("<|end|> < x") == [1, 0, 1, 0] and made.unknown_id == 0 and made.kind == "WordLevel"


def test_a_copy_by_pickle_keeps_text_text() -> None:
    tokenizer: Tokenizer = pickle.loads(pickle.dumps(tiny_tokenizer()))
    assert tokenizer.decode(tokenizer.encode("<|end|>")) == "<|end|>" and tokenizer.unknown_id is None
    assert tokenizer.to_json() == tiny_tokenizer().to_json()


def metaspace() -> Tokenizer:
    """A kind that puts a space before each text."""
    alphabet = ["[UNK]", "▁", "\n", *"abcdefghijklmnopqrstuvwxyz", "▁the", "he"]
    backend = tokenizers.Tokenizer(Unigram([(piece, -float(len(piece) + 1)) for piece in alphabet], 0, False))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return Tokenizer.adopt(backend.to_str())


@pytest.mark.parametrize("tokenizer", [tiny_tokenizer(), metaspace()], ids=["bytes", "metaspace"])
@given(words=st.lists(st.sampled_from(["the", "cat", "a", "he", "3"]), max_size=200))
@settings(max_examples=50, deadline=None)
def test_a_long_text_is_cut_at_spaces_and_keeps_its_ids(tokenizer: Tokenizer, words: list[str]) -> None:
    text = " ".join(words)
    ids = tokenizer.encode(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.tokenizer.LONGEST", 80)
        parts = tokenizer.parts(text)
        assert all(len(part) <= 80 for part in parts) and (len(parts) > 1) == (len(text) > 80)
        assert tokenizer.encode(text) == ids
        assert tokenizer.encode_batch(["x", text]) == [tokenizer.encode("x"), ids]


@given(text=st.text(max_size=300))
@settings(max_examples=50, deadline=None)
def test_a_long_text_without_spaces_is_cut_where_it_stands(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.tokenizer.LONGEST", 16)
        assert "".join(TINY.parts(text)) == text
        assert TINY.decode(TINY.encode(text)) == text


TINY = tiny_tokenizer()
