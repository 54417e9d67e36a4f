"""tokenizer.json of every kind, as one of ours."""

import importlib

import pytest
import tokenizers
from tokenizers import AddedToken, models, normalizers, pre_tokenizers, processors, trainers

from models.tokenizer import SPECIALS, Tokenizer
from tests.models.vocabularies.texts import LINES, varied

LEAF = importlib.import_module("models.vocabularies.huggingface")


def foreign(kind: str) -> tokenizers.Tokenizer:
    """A small tokeniser with special tokens of its own, which cuts, pads and adds to what it encodes."""
    model = {
        "BPE": models.BPE(unk_token="[UNK]"),
        "WordPiece": models.WordPiece(unk_token="[UNK]"),
        "Unigram": models.Unigram(),
        "WordLevel": models.WordLevel(unk_token="[UNK]"),
    }[kind]
    made = tokenizers.Tokenizer(model)
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    specials = ["[UNK]", "[SEP]", "<|x|>"]
    more = {"unk_token": "[UNK]"} if kind == "Unigram" else {}
    trainer = {
        "BPE": trainers.BpeTrainer, "WordPiece": trainers.WordPieceTrainer,
        "Unigram": trainers.UnigramTrainer, "WordLevel": trainers.WordLevelTrainer,
    }[kind](vocab_size=300, special_tokens=specials, show_progress=False, **more)  # fmt: skip
    made.train_from_iterator(LINES * 5, trainer)
    made.add_tokens([AddedToken("<think>")])
    sep = made.token_to_id("[SEP]")
    made.post_processor = processors.TemplateProcessing("[SEP] $A [SEP]", special_tokens=[("[SEP]", sep)])
    made.enable_truncation(4)
    made.enable_padding()
    return made


@pytest.mark.parametrize("kind", ["BPE", "WordPiece", "Unigram", "WordLevel"])
def test_every_kind_keeps_its_ids(kind: str) -> None:
    theirs = foreign(kind)
    ours = Tokenizer.imported("huggingface", theirs.to_str().encode(), end="[SEP]")
    size = theirs.get_vocab_size()
    assert ours.kind == kind and ours.vocab_size == size + 3 and ours.unknown_id == theirs.token_to_id("[UNK]")
    assert ours.end_id == theirs.token_to_id("[SEP]") and ours.pad_id >= size
    theirs.no_truncation()
    theirs.no_padding()
    theirs.encode_special_tokens = True
    texts = [text for text in varied() if "<|" not in text]
    for text, ids in zip(texts, ours.encode_batch(texts), strict=True):
        assert ids == theirs.encode(text, add_special_tokens=False).ids, text
    again = Tokenizer.load(ours.to_json())
    assert again.encode_batch(texts) == ours.encode_batch(texts) and again.to_json() == ours.to_json()


@pytest.mark.parametrize("kind", ["BPE", "WordPiece", "Unigram", "WordLevel"])
def test_no_text_says_a_special_token(kind: str) -> None:
    """The models hold <|x|> and [SEP] as whole words, and meet them as words here."""
    theirs = foreign(kind)
    ours = Tokenizer.imported("huggingface", theirs.to_str().encode(), end="<|x|>")
    mine = {ours.pad_id, ours.end_id, ours.user_id, ours.assistant_id, theirs.token_to_id("[SEP]")}
    for special in (*SPECIALS, "[SEP]", "<|x|>"):
        for text in (special, f"the {special} cat", f"the{special}"):
            assert mine.isdisjoint(ours.encode(text)), (special, text)
    assert ours.encode("<think>") == [theirs.token_to_id("<think>")]  # no special token, but a word of its vocabulary


@pytest.mark.parametrize("data", [b"", b"\xff", b"{}", b'{"model": {"type": "BPE"}}'])
def test_what_is_no_tokenizer_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a tokenizer\.json"):
        LEAF.load(data)
