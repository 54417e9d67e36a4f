"""The rules of decontamination: leaks that must be found in any dress, text that must not be flagged, and cuts."""

import textwrap
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.leaks import index as leaks
from pipeline.corpus.leaks import judge as rules
from pipeline.corpus.leaks.benchmarks import Item
from pipeline.corpus.leaks.config import DecontaminateConfig
from tests.support.corpus import LICENCE, Writer

CONFIG = DecontaminateConfig(words=13, common=3, min_hits=8)


def made(heldout: Sequence[str], items: Sequence[Sequence[str]] = ()) -> leaks.Index:
    maker = leaks.Maker(CONFIG)
    maker.documents([f"{i}" for i in range(len(heldout))], list(heldout))
    maker.items(Item(f"quiz:{i}", tuple(texts)) for i, texts in enumerate(items))
    return maker.index()


def judged(training: list[str], heldout: Sequence[str], items: Sequence[Sequence[str]] = ()) -> dict[int, str]:
    """Training document -> held-out text that it holds."""
    index = made(heldout, items)
    document, gram, sizes = leaks.find(training, index, CONFIG)
    rare = np.bincount(gram, minlength=len(index.hashes)) <= CONFIG.common
    return {leak.document: index.names[leak.held] for leak in rules.judge(document, gram, sizes, index, rare, CONFIG)}


def test_an_embedded_passage_is_found_wrapped_in_other_case_and_without_punctuation() -> None:
    say = Writer("leak")
    heldout = [say.text(30), say.text(30)]
    passage = " ".join(heldout[1].split()[40:64])
    dressed = "\n> ".join(textwrap.wrap(passage.upper().replace(".", " --"), 30))
    training = [say.text(40), f"{say.text(20)}\n> {dressed}\n{say.text(20)}", say.text(40)]
    assert judged(training, heldout) == {1: "1"}


def test_the_whole_of_a_short_document_is_found() -> None:
    said = ["A: Will you die?\nB: No, never!", "A: Will you?\nB: No."]
    assert judged(said, ["a: will you die b: no never"]) == {0: "0"}


def test_boilerplate_is_no_leak_but_a_leak_beside_it_is() -> None:
    say = Writer("licence")
    heldout = [LICENCE + "\n" + say.text(20)]
    training = [LICENCE + "\n" + say.text(20) for _ in range(8)]
    assert judged(training, heldout) == {}
    leak = heldout[0][len(LICENCE) :]
    assert judged([*training, LICENCE + leak], heldout) == {8: "0"}


def test_a_short_quotation_is_no_leak() -> None:
    say = Writer("quote")
    heldout = [say.text(30)]
    quoted = " ".join(heldout[0].split()[10:27])  # 17 words: five n-grams
    assert judged([f"{say.text(10)} {quoted} {say.text(10)}"], heldout) == {}


def test_a_short_item_is_found_whole_inside_a_long_text_and_not_by_a_part() -> None:
    say = Writer("short")
    item = "Which gas do green plants take from the air?"  # nine words
    training = [
        f"{say.text(9)} {item.upper()} {say.text(9)}",
        "Which gas do green plants take from the sea? " + say.text(9),
    ]
    assert judged(training, [], [[item, "oxygen"]]) == {0: "quiz:0"}


def test_an_item_that_is_too_short_has_no_n_gram() -> None:
    index = made([], [["What is two plus two?", "four"]])
    assert index.need.tolist() == [0] and not len(index.hashes)


def test_an_idiom_that_many_documents_have_is_no_leak_but_of_an_item_that_is_no_more() -> None:
    say = Writer("idiom")
    idiom = "a bird in the hand is worth two in the bush"
    training = [f"{say.text(9)} {idiom}, {say.text(9)}" for _ in range(5)]
    assert judged(training, [idiom]) == {} and judged(training, [], [[f"Who says that {idiom}?"]]) == {}
    assert judged(training, [], [[idiom]]) == dict.fromkeys(range(5), "quiz:0")


def test_a_question_that_is_quoted_everywhere_is_a_leak_with_or_without_its_answer() -> None:
    say = Writer("quoted")
    question, answer = say.text(4), say.text(6)
    training = [f"{say.text(9)} {question} {say.text(9)}" for _ in range(9)] + [say.text(20)]
    assert judged(training, [], [[answer, question], [question]]) == dict.fromkeys(range(9), "quiz:0")
    half = " ".join(question.split()[: len(question.split()) // 2])
    assert judged([text.replace(question, half) for text in training], [], [[answer, question]]) == {}


def test_a_chinese_leak_is_found_and_cut() -> None:
    item = "".join(chr(0x4E00 + i * i * 37 % 5000) for i in range(40))
    other = "".join(chr(0x4E00 + i * i * 41 % 5000) for i in range(60))
    index = made([], [[item]])
    assert judged([f"{other}。\n\n{item}。\n\n{other}", other], [], [[item]]) == {0: "quiz:0"}
    assert cut(f"{other}。\n\n{item}。\n\n{other}", index) == f"{other}。\n\n{other}"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text("ab \u4e00", max_size=30), max_size=5), st.lists(st.text("ab \u4e00", max_size=30), max_size=5))
def test_a_document_leaks_for_each_whole_text_of_an_item_and_for_no_other(
    training: list[str], items: list[str]
) -> None:
    """Nothing is rare; texts of two words or more."""
    config = DecontaminateConfig(words=2, min_words=1, common=1)
    maker = leaks.Maker(config)
    maker.items([Item(f"quiz:{i}", (text,)) for i, text in enumerate(items)])
    index = maker.index()
    none = np.zeros(len(index.hashes), bool)
    found = {leak.document for leak in rules.judge(*leaks.find(training, index, config), index, none, config)}

    def pairs(text: str) -> set[tuple[str, ...]]:
        words = text.replace("\u4e00", " \u4e00 ").split()
        return {*pairwise(words)}

    def holds(text: str, item: str) -> bool:
        words = item.replace("\u4e00", " \u4e00 ").split()
        if len(words) == 1:
            return words[0] in text.replace("\u4e00", " \u4e00 ").split()
        return bool(words) and pairs(item) <= pairs(text)

    assert found == {i for i, text in enumerate(training) if any(holds(text, item) for item in items)}


def test_nothing_held_out_and_nothing_to_search() -> None:
    assert judged(["some text of some words"], []) == {}
    assert judged([], ["some text of some words"]) == {}
    assert judged(["", "!"], ["", "?"], [["", "..."], []]) == {}


def test_boilerplate_is_known_to_the_training_text() -> None:
    still = made([LICENCE]).hashes
    known = rules.knows(still, CONFIG.words, CONFIG.min_hits)
    assert known(LICENCE) and not known(Writer("new").text(20))
    assert not rules.knows(still[:0], CONFIG.words, CONFIG.min_hits)("a few words")


def cut(text: str, index: leaks.Index) -> str:
    ranges = rules.spans(text, index, np.ones(len(index.hashes), bool), CONFIG)
    edges = [0, *(edge for both in ranges for edge in both), len(text)]
    return "".join(text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))


def test_a_cut_takes_whole_sentences_and_no_more() -> None:
    say = Writer("cut")
    before, after, passage = say.text(12), say.text(12), say.text(6)
    held = " ".join(passage.split()[3:-3])
    assert cut(f"{before} {passage} {after}", made([held])) == f"{before} {after}"


def test_a_cut_keeps_what_has_no_sentence_in_reach() -> None:
    say = Writer("long")
    before, after = (" ".join(say.random.choices(say.words, k=300)) for _ in range(2))
    held = " ".join(say.random.choices(say.words, k=30))
    assert cut(f"{before} {held} {after}", made([held])) == f"{before}  {after}"


def test_words_that_cannot_be_placed_are_not_cut() -> None:
    text = "\u0130stanbul " + Writer("dotted").text(9)  # in lower case its first letter is an i and a mark
    assert rules.spans(text, made([text]), np.ones(999, bool), CONFIG) == []


texts = st.lists(st.text("ab. \n\u00e9", max_size=60), max_size=6)


@settings(max_examples=50, deadline=None)
@given(texts, texts, texts)
def test_what_is_cut_leaves_no_rare_n_gram(training: list[str], heldout: list[str], items: list[str]) -> None:
    """A word or two, so that everything repeats; what remains joined may not, so it is cut until it stays."""
    config = DecontaminateConfig(words=3, min_words=2, min_hits=2, common=9)
    maker = leaks.Maker(config)
    maker.documents([str(i) for i in range(len(heldout))], heldout)
    maker.items([Item(f"quiz:{i}", (text,)) for i, text in enumerate(items)])
    index = maker.index()
    rare = np.ones(len(index.hashes), bool)
    found = rules.judge(*leaks.find(training, index, config), index, rare, config)
    assert [leak.document for leak in found] == sorted({leak.document for leak in found})
    for leak in found:
        text = training[leak.document]
        ranges = rules.spans(text, index, rare, config)
        assert ranges, text
        assert all(a < b for a, b in ranges) and all(b < c for (_, b), (c, _) in pairwise(ranges))
        parts = [
            text[a:b] for a, b in zip([0, *(b for _, b in ranges)], [*(a for a, _ in ranges), len(text)], strict=True)
        ]
        assert not any(
            len(g) for part in parts for g in [leaks.find([part], index, config)[1]] if not _whole(part, config)
        )


def _whole(part: str, config: DecontaminateConfig) -> bool:
    """Texts of fewer words than an n-gram are one themselves, which is no part of a longer one."""
    return len(part.replace(".", " ").split()) < config.words


@settings(max_examples=50, deadline=None)
@given(texts, texts)
def test_every_copy_leaks_and_strangers_do_not(heldout: list[str], others: list[str]) -> None:
    index = made(heldout)
    everything = np.ones(len(index.hashes), bool)
    found = {leak.document for leak in rules.judge(*leaks.find(heldout, index, CONFIG), index, everything, CONFIG)}
    assert found == {i for i, text in enumerate(heldout) if any(c.isalnum() for c in text)}
    strangers = [text.replace("a", "x").replace("b", "y").replace("\u00e9", "z") for text in others]
    assert rules.judge(*leaks.find(strangers, index, CONFIG), index, everything, CONFIG) == []
