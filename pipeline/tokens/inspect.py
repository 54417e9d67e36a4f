"""What ``firstlight inspect RUN tokens`` shows: how well the tokeniser fits each source, and what others would do."""

from collections.abc import Mapping, Sequence
from typing import Any

from cluster.errors import UserError
from pipeline.sections import Block, Cell, Section, Table
from pipeline.stage import StageFolder
from pipeline.tokens import look
from pipeline.tokens.compare import compare
from pipeline.tokens.counts import FACTS
from pipeline.tokens.pieces import load_tokenizer


def show(folder: StageFolder, asked: Mapping[str, Any]) -> Section:
    """What the command line asks for: ``kinds`` as it was typed, `all`, `none` or names with commas."""
    kinds = asked["kinds"]
    return inspect(folder, {"all": (), "none": None}.get(kinds, kinds.split(",")))


def inspect(folder: StageFolder, kinds: Sequence[str] | None = ()) -> Section:
    """The tokeniser beside other kinds (all, those named, or None for none), use of the vocabulary, sizes, words.

    Raises UserError before the stage has finished and for kinds that cannot be tried, ConfigError for an unknown one.
    """
    if not folder.done("index.json"):
        raise UserError("RUN", folder.run, "the tokens stage has not finished", "Run it first: firstlight run")
    index, tokenizer = folder.read_json("index.json"), load_tokenizer(folder)
    blocks: list[Block] = [look.tokenizer_table(tokenizer, index)]
    if folder.manifest():
        blocks += compare(folder, kinds)
    blocks += [
        look.vocabulary_table(folder, index, tokenizer.vocab_size),
        look.sizes_table(index),
        look.longest_table(tokenizer),
    ]
    if folder.done(FACTS):
        blocks.append(words_table(folder.read_json(FACTS)))
    return Section("tokens", "Tokeniser", f"A vocabulary of {tokenizer.vocab_size:,} ids.", blocks)


def words_table(facts: dict[str, int]) -> Table:
    """What the tokeniser was trained on, and what fell off."""
    lost, seen = facts["words"] - facts["kept_words"], facts["occurrences"] - facts["kept_occurrences"]
    note = f"The most frequent words, tokens.max_words at most; {facts['documents']:,} documents were counted."
    rows: list[list[Cell]] = [
        ["counted", facts["words"], facts["occurrences"]],
        ["left out as seldom", lost, seen],
        ["left out as too long", None, facts["too_long"]],
    ]
    return Table("Words", ["", "distinct words", "occurrences"], rows, note)
