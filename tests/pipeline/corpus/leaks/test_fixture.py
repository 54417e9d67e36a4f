"""A labelled fixture: items embedded in every dress (recall), and text that only looks like them (precision)."""

import os
import random
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.corpus.leaks import benchmarks, judge
from pipeline.corpus.leaks.benchmarks import Item
from pipeline.corpus.leaks.config import DecontaminateConfig
from pipeline.corpus.leaks.index import Maker, find
from tests.support.corpus import LICENCE, Writer

DATA = Path(os.environ.get("FIRSTLIGHT_DATA", Path(__file__).parents[5] / "shared" / "data")) / "eval"
CONFIG = DecontaminateConfig()

ITEMS = [
    "A ball is thrown straight up into the air and caught two seconds later; where was its speed the smallest?",
    "Which of these materials would make the best handle for a pan that stands on a hot stove all day?",
    "The farmer moved his sheep to the upper meadow because the lower one had been flooded by the river in spring.",
    "If a train leaves the station at noon and travels sixty miles an hour, when does it reach the next town?",
    "Marta lent Ines her umbrella although she knew quite well that rain was forecast for the same afternoon.",
    "What is the main reason that desert foxes have much larger ears than foxes of the cold north?",
    "The council refused the new bridge as nobody could say who would pay for its upkeep after ten years.",
    "To remove a stain of red wine from a white cloth, first cover it with salt, and then do what?",
    "Why do sailors watch the colour of the evening sky?",
    "Which planet turns on its side around the sun?",
    "How many legs has a spider that lost two?",
    "He put the letter back into the drawer and locked it twice before he",
]
DRESS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "wrapped": lambda text: "\n".join(textwrap.wrap(text, 24)),
    "quoted": lambda text: "\n".join("> > " + line for line in textwrap.wrap(text, 30)),
    "upper case": str.upper,
    "no punctuation": lambda text: "".join(c for c in text if c.isalnum() or c == " "),
    "other punctuation": lambda text: text.replace(" ", " -- ").replace("?", " (?!)"),
    "emphasised": lambda text: "**" + text.replace(" ", "** _", 1) + "_",
    "in a template": lambda text: f"Question: {text}\nA) one\nB) two\nAnswer:",
    "as JSON": lambda text: f'{{"q": "{text}", "gold": 1}}',
    "a line a word": lambda text: text.replace(" ", "\n\n\t"),
}
QUOTES = [
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness",
    "We hold these truths to be self-evident, that all men are created equal, that they are endowed with rights",
    "All happy families are alike; every unhappy family is unhappy in its own way, as the old novel says at first",
]
LOOKALIKES = [
    "A ball is thrown straight up and a second one straight down; which one of the two is the faster at the ground?",
    "Which of these materials would you choose for a handle? Wood, since it keeps cool beside a hot stove.",
    "The farmer moved his cows, because the sheep had eaten all the grass of the upper meadow before the spring.",
    "If a train leaves the station at noon it will be late; when does the next one leave for the town?",
    "Why do sailors watch the colour of their ropes? Which planet turns around the sun on its side, they ask.",
    "How many legs has a spider? He put the letter back into the drawer, and she locked it before he came.",
    "To remove a stain of ink from a white cloth, first cover it with milk, and then wash it in cold water.",
    "Marta lent Ines her coat although she knew quite well that she would not have it back before the winter.",
]


def flagged(training: list[str], items: list[str]) -> set[int]:
    maker = Maker(CONFIG)
    maker.items(Item(f"quiz:{i}", (text,)) for i, text in enumerate(items))
    index = maker.index()
    document, gram, sizes = find(training, index, CONFIG)
    rare = np.bincount(gram, minlength=len(index.hashes)) <= CONFIG.common
    return {leak.document for leak in judge.judge(document, gram, sizes, index, rare, CONFIG)}


@pytest.mark.parametrize("dress", DRESS)
def test_recall_of_embedded_items_is_whole_in_every_dress(dress: str) -> None:
    say = Writer(dress)
    training = [f"{say.text(9)}\n{DRESS[dress](item)}\n{say.text(9)}" for item in ITEMS]
    assert flagged(training, ITEMS) == set(range(len(ITEMS)))


def test_nothing_that_only_looks_like_an_item_is_flagged() -> None:
    """Lookalikes, licences, quotes and idioms that many documents have, each a part of an item."""
    say = Writer("precision")
    idiom = "at the end of the day it is what it is"
    training = [f"{say.text(6)} {text} {say.text(6)}" for text in LOOKALIKES]
    training += [f"{LICENCE}\n{say.text(8)}" for _ in range(20)]
    training += [f"{say.text(6)} {quote}. {say.text(6)}" for quote in QUOTES for _ in range(6)]
    training += [f"{say.text(6)} {idiom}, {say.text(6)}" for _ in range(9)]
    items = [*ITEMS, *(f"{part}. Who wrote it, and where?" for part in (*QUOTES, idiom, LICENCE))]
    assert flagged(training, items) == set()
    assert flagged(training, QUOTES[:1]) == set(range(28, 34)), "a document that holds all of an item"


def test_half_of_an_item_is_not_enough_where_the_item_is_long() -> None:
    say = Writer("half")
    item = say.text(12)
    words = item.split()
    quoted = [f"{say.text(5)} {' '.join(words[i : i + 19])} {say.text(5)}" for i in (0, 20, 40)]  # seven n-grams
    assert flagged(quoted, [item]) == set()
    assert flagged([f"{say.text(5)} {' '.join(words[:20])} {say.text(5)}"], [item]) == {0}  # eight


@pytest.mark.skipif(not DATA.is_dir(), reason="no evaluation sets: FIRSTLIGHT_DATA names no folder that has eval/")
@pytest.mark.parametrize(
    "name", ["arc_easy", "boolq", "lambada_openai", "openbook_qa", "piqa", "triviaqa_sm_sub", "winogrande"]
)
def test_real_items_are_found_and_their_neighbours_are_not(name: str) -> None:
    """Half of a real set is embedded, wrapped and in upper case; the index holds all of it."""
    items = list(benchmarks.read(DATA / f"{name}.jsonl"))
    random.Random(name).shuffle(items)
    items = items[:300]
    say = Writer(name)
    leaked = ["\n".join(textwrap.wrap("\n".join(item.texts).upper(), 40)) for item in items[:150]]
    training = [f"{say.text(4)}\n{text}\n{say.text(4)}" for text in leaked]
    maker = Maker(CONFIG)
    maker.items(items)
    index = maker.index()
    document, gram, sizes = find([*training, *(say.text(60) for _ in range(50))], index, CONFIG)
    rare = np.bincount(gram, minlength=len(index.hashes)) <= CONFIG.common
    found = {leak.document for leak in judge.judge(document, gram, sizes, index, rare, CONFIG)}
    checked = {i for i in range(150) if index.need[i]}
    boilerplate = {i for i in checked if not rare[index.pairs[index.pairs[:, 1] == i, 0]].any()}
    assert len(checked) >= 0.6 * 150
    assert len(found & checked) >= 0.98 * len(checked - boilerplate)
    assert max(found, default=0) < 150
