"""SentencePiece models, imported: ids beside those of the library itself."""

import importlib
import io
from typing import Any

import pytest

from models.tokenizer import Tokenizer
from tests.models.vocabularies.texts import LINES, varied

spm = pytest.importorskip("sentencepiece", reason="the library that is compared with")
LEAF = importlib.import_module("models.vocabularies.sentencepiece")
NAMES = ("<s>", "</s>", "<unk>", "<0x41>")  # in a text, a Unigram model's pieces change around them


def trained(kind: str, **options: Any) -> bytes:
    made = io.BytesIO()
    settings: dict[str, Any] = {"vocab_size": 420, "hard_vocab_limit": False, "num_threads": 1, "minloglevel": 3}
    lines = [line for text in LINES for line in text.splitlines()] * 40
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=made, model_type=kind, **settings | options
    )
    return made.getvalue()


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("fallback", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {},  # nmt_nfkc, a first space, extra spaces removed
        {"normalization_rule_name": "identity", "add_dummy_prefix": False, "remove_extra_whitespaces": False},
        {"normalization_rule_name": "nmt_nfkc_cf", "remove_extra_whitespaces": False},
        {"normalization_rule_name": "identity", "split_by_whitespace": False},  # pieces that cross spaces
    ],
)
def test_ids_are_those_of_the_library(kind: str, fallback: bool, options: dict[str, Any]) -> None:
    data = trained(kind, byte_fallback=fallback, **options)
    theirs, ours = spm.SentencePieceProcessor(model_proto=data), Tokenizer.imported("sentencepiece", data)
    assert ours.vocab_size == theirs.vocab_size() + 4 and ours.unknown_id == theirs.unk_id()
    compared = 0
    for text in varied():
        expected, found = theirs.encode(text), ours.encode(text)
        if kind == "unigram" and any(name in text for name in NAMES):
            assert set(found).isdisjoint([theirs.bos_id(), theirs.eos_id(), ours.end_id, ours.user_id]), text
        elif expected != found:  # two segmentations that are equally likely
            scores = [sum(map(theirs.get_score, ids)) for ids in (expected, found)]
            assert kind == "unigram" and scores[0] == pytest.approx(scores[1], abs=1e-2), text
        else:
            compared += 1
            if fallback and "▁" not in text:
                assert ours.decode(found) == theirs.decode(expected), text
    assert compared > 0.98 * len(varied())


def test_a_mark_on_a_ligature_is_composed_where_the_library_leaves_it() -> None:
    """The known difference under NFKC (and a mark out of the canonical order): it is small, and stays so."""
    data = trained("bpe", byte_fallback=True)
    theirs, ours = spm.SentencePieceProcessor(model_proto=data), Tokenizer.imported("sentencepiece", data)
    assert theirs.decode(theirs.encode("ﬁ\u0301")) == "fi\u0301" and ours.decode(ours.encode("ﬁ\u0301")) == "fí"


def test_its_end_token_becomes_ours() -> None:
    data = trained("bpe")
    ours = Tokenizer.imported("sentencepiece", data, end="</s>")
    assert ours.end_id == 2 and ours.vocab_size == spm.SentencePieceProcessor(model_proto=data).vocab_size() + 3
    assert Tokenizer.load(ours.to_json()).end_id == 2


def test_pieces_of_the_user_are_taken_whole() -> None:
    plain = {"normalization_rule_name": "identity", "add_dummy_prefix": False, "remove_extra_whitespaces": False}
    data = trained("bpe", user_defined_symbols=["<tool>", "cats", "▁▁▁", "\n\n"], byte_fallback=True, **plain)
    theirs, ours = spm.SentencePieceProcessor(model_proto=data), Tokenizer.imported("sentencepiece", data)
    for text in ("on the cats <tool>sat<tool> ", "<tool>", "cat      cats\n\n\nx   y", "scatsssats"):
        assert ours.encode(text) == theirs.encode(text), text


@pytest.mark.parametrize(
    ("kind", "options", "why"),
    [
        ("char", {}, "neither Unigram nor BPE"),
        ("bpe", {"treat_whitespace_as_suffix": True}, "suffixes"),
        ("unigram", {"user_defined_symbols": ["<tool>"]}, "Unigram model with pieces of the user"),
        ("bpe", {"user_defined_symbols": ["<tool>"]}, "pieces of the user"),
    ],
)
def test_what_would_differ_is_refused(kind: str, options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        LEAF.load(trained(kind, **options))


@pytest.mark.parametrize("data", [b"", b"not a model", b'{"model": {}}'])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a SentencePiece model"):
        LEAF.load(data)
