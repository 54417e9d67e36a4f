"""What the report shows of the tokens stage, made by hand."""

from pathlib import Path

import pytest

from pipeline.stage import StageFolder
from pipeline.tokens import look, view
from pipeline.tokens.order import mixture
from pipeline.tokens.pieces import load_tokenizer
from tests.pipeline.tokens.test_encode import bytes_tokenizer, corpus, encoded, wide_tokenizer

__all__ = ["corpus"]  # a fixture


@pytest.fixture
def folder(tmp_path: Path, corpus: StageFolder) -> StageFolder:
    made = encoded(tmp_path, corpus, bytes_tokenizer())
    tokens = {source: facts["tokens"] for source, facts in made.read_json("index.json")["train"].items()}
    budgets, caps = {"plays": 2 * tokens["plays"]}, {"plays": 3.0}
    made.write_json("mixture.json", mixture(tokens, {}, 1.0, 4.0, budgets, caps))
    return made


def test_the_section_says_what_was_asked_and_got(folder: StageFolder) -> None:
    section = view.section(folder, {})
    assert section is not None and "(BPE)" in section.lead
    tables = {block.title: block for block in section.blocks if isinstance(block, look.Table)}
    facts = dict(tables["Tokeniser"].rows)  # type: ignore[arg-type]
    assert facts["a token on disk"] == "16 bits" and "<|end|> 1" in str(facts["special tokens"])
    code, plays = tables["Mixture"].rows
    assert plays[2] == 2 * folder.read_json("index.json")["train"]["plays"]["tokens"] and plays[-2:] == [2.0, 3.0]
    assert code[2] is None and code[-2:] == [1.0, 4.0]
    lengths = {row[0]: row[1:] for row in tables["Tokens of a training document"].rows}
    assert int(str(lengths["code"][-1])) > 1000 > int(str(lengths["code"][1]))


def test_an_example_names_the_documents_of_its_tokens(folder: StageFolder, corpus: StageFolder) -> None:
    texts = {row["id"]: row["text"] for piece in corpus.pieces() for row in corpus.read_table(piece).to_pylist()}
    tokenizer = load_tokenizer(folder)
    for item in look.windows(folder, tokenizer).items:
        shown = 0
        whole = "".join(texts[document] + "<|end|>" for document in item.fields)
        assert item.text in whole
        for place in item.fields.values():
            first, last = (int(part.replace(",", "")) for part in place.split(" of ")[0][7:].split(" to "))
            shown += last + 1 - first
        assert shown == look.WINDOW


def test_a_vocabulary_of_32_bits_is_read_as_such(tmp_path: Path, corpus: StageFolder) -> None:
    made = encoded(tmp_path / "wide", corpus, wide_tokenizer())
    index, tokenizer = made.read_json("index.json"), load_tokenizer(made)
    used = {row[0]: row[2] for row in look.vocabulary_table(made, index, tokenizer.vocab_size).rows}
    assert used["code"] == 3  # <|end|>, [UNK] and x
    assert dict(look.tokenizer_table(tokenizer, index).rows)["a token on disk"] == "32 bits"  # type: ignore[arg-type]
