"""Decontamination: leaks that must be found in any dress, and text that must not be flagged."""

import textwrap

from pipeline.corpus import decontaminate
from pipeline.corpus.config import DecontaminateConfig
from tests.support.corpus import LICENCE, Writer

CONFIG = DecontaminateConfig(words=13, common=3, min_hits=8)


def judged(training: list[str], heldout: list[str]) -> dict[int, int]:
    """Training document -> held-out document that it repeats."""
    index = decontaminate.index(heldout, CONFIG.words)
    again = decontaminate.Index.from_bytes(index.to_bytes())
    assert (again.hashes == index.hashes).all() and (again.documents == index.documents).all()
    hits = decontaminate.find(training, again, CONFIG.words)
    return {leak.document: leak.heldout for leak in decontaminate.judge(hits, CONFIG)}


def test_an_embedded_passage_is_found_wrapped_in_other_case_and_without_punctuation() -> None:
    say = Writer("leak")
    heldout = [say.text(30), say.text(30)]
    passage = " ".join(heldout[1].split()[40:64])
    dressed = "\n> ".join(textwrap.wrap(passage.upper().replace(".", " --"), 30))
    training = [say.text(40), f"{say.text(20)}\n> {dressed}\n{say.text(20)}", say.text(40)]
    assert judged(training, heldout) == {1: 1}


def test_the_whole_of_a_short_document_is_found() -> None:
    assert judged(["A: Will you die?\nB: No, never!", "A: Will you?\nB: No."], ["a: will you die b: no never"]) == {
        0: 0
    }


def test_boilerplate_is_no_leak_but_a_leak_beside_it_is() -> None:
    say = Writer("licence")
    heldout = [LICENCE + "\n" + say.text(20)]
    training = [LICENCE + "\n" + say.text(20) for _ in range(8)]
    assert judged(training, heldout) == {}
    leak = heldout[0][len(LICENCE) :]
    assert judged([*training, LICENCE + leak], heldout) == {8: 0}


def test_a_short_quotation_is_no_leak() -> None:
    say = Writer("quote")
    heldout = [say.text(30)]
    quoted = " ".join(heldout[0].split()[10:27])  # 17 words: five n-grams
    assert judged([f"{say.text(10)} {quoted} {say.text(10)}"], heldout) == {}


def test_nothing_held_out_and_nothing_to_search() -> None:
    assert judged(["some text of some words"], []) == {}
    assert judged([], ["some text of some words"]) == {}
    assert judged(["", "!"], ["", "?"]) == {}


def test_boilerplate_is_known_to_the_training_text() -> None:
    still = decontaminate.index([LICENCE], CONFIG.words).hashes
    known = decontaminate.knows(still, CONFIG.words, CONFIG.min_hits)
    assert known(LICENCE) and not known(Writer("new").text(20))
    assert not decontaminate.knows(still[:0], CONFIG.words, CONFIG.min_hits)("a few words")
