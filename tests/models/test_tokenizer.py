import random

import pytest

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


def test_swapped_specials_are_refused() -> None:
    text = tiny_tokenizer().to_json()
    swapped = text.replace("<|pad|>", "<|x|>").replace("<|end|>", "<|pad|>").replace("<|x|>", "<|end|>")
    with pytest.raises(ValueError, match=r"ids 0\.\.3"):
        Tokenizer.load(swapped)
