"""Pairs from ratings: what says nothing is dropped, chats are split, lengths are matched."""

import numpy as np
import pytest

from models.chat import Turn
from pipeline.finetune.dialogues import Dialogue
from pipeline.reward import pairs
from pipeline.reward.config import RewardConfig
from pipeline.reward.pairs import Rated

CONFIG = RewardConfig()


def dialogue(name: str, ratings: list[float], turns: int = 4, text: str = "hello there") -> Dialogue:
    said = tuple(Turn("assistant" if i % 2 else "user", text) for i in range(turns))
    return Dialogue(name, "chats", said, tuple((str(i), r) for i, r in enumerate(ratings)))


def many(count: int, seed: int = 0) -> list[Rated]:
    """Chats whose score grows with length, as in the real data."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(50, 2000, count)
    scores = 3 + lengths / 400 + draw.normal(0, 2, count)
    return [
        Rated(dialogue(f"{i:04d}", []), float(s), int(n)) for i, (s, n) in enumerate(zip(scores, lengths, strict=True))
    ]


def test_defaults_short_and_unrated_chats_are_counted_out() -> None:
    given = [
        dialogue("a", [5, 5, 5]),
        dialogue("b", [5, 5, 6]),
        dialogue("c", [9, 9, 9], turns=1),
        dialogue("d", []),
        dialogue("e", [1, 2, 3]),
    ]
    kept, passed = pairs.rated(given, CONFIG)
    assert [c.dialogue.id for c in kept] == ["b", "e"]
    assert passed == {"untouched default": 1, "too few turns": 1, "not rated": 1}
    assert kept[1].score == 2.0 and kept[1].length == 4 * len("hello there")


def test_no_chat_is_on_both_sides_and_names_decide() -> None:
    chats = many(400)
    train, test = pairs.split(chats, [], 0.3, "salt")
    assert {c.dialogue.id for c in train} | {c.dialogue.id for c in test} == {c.dialogue.id for c in chats}
    assert not {c.dialogue.id for c in train} & {c.dialogue.id for c in test}
    assert 80 < len(test) < 160
    again = pairs.split(list(reversed(chats)), [], 0.3, "salt")
    assert again == (train, test)


def test_what_the_corpus_held_out_only_tests() -> None:
    chats = many(200)
    kept, heldout = chats[:150], chats[150:]
    train, test = pairs.split(kept, heldout, 0.3, "salt")
    names = {c.dialogue.id for c in heldout}
    assert not names & {c.dialogue.id for c in train}
    assert names < {c.dialogue.id for c in test}
    assert (train, [c for c in test if c.dialogue.id not in names]) == pairs.split(kept, [], 0.3, "salt")


def test_matched_pairs_hold_their_promises() -> None:
    chats = many(400)
    found = pairs.match(chats, CONFIG)
    assert len(found) > 100
    uses: dict[int, int] = {}
    for pair in found:
        high, low = chats[pair.chosen], chats[pair.rejected]
        assert high.score - low.score >= CONFIG.min_gap
        assert min(high.length, low.length) >= (1 - CONFIG.length_tolerance) * max(high.length, low.length)
        for chat in (pair.chosen, pair.rejected):
            uses[chat] = uses.get(chat, 0) + 1
    assert max(uses.values()) <= CONFIG.uses
    shuffled = [chats[i] for i in np.random.default_rng(1).permutation(len(chats))]
    names = [(chats[p.chosen].dialogue.id, chats[p.rejected].dialogue.id) for p in found]
    again = pairs.match(shuffled, CONFIG)
    assert [(shuffled[p.chosen].dialogue.id, shuffled[p.rejected].dialogue.id) for p in again] == names


def test_matching_takes_length_away() -> None:
    chats = many(600)
    assert pairs.unmatched_longer_wins(chats, CONFIG.min_gap) > 0.65
    close = RewardConfig(length_tolerance=0.02)
    assert pairs.longer_wins(chats, pairs.match(chats, close)) == pytest.approx(0.5, abs=0.08)


def test_length_rule_on_given_pairs() -> None:
    chats = [Rated(dialogue("a", []), 9, 10), Rated(dialogue("b", []), 3, 8), Rated(dialogue("c", []), 1, 8)]
    assert pairs.longer_wins(chats, [pairs.Pair(0, 1)]) == 1.0
    assert pairs.longer_wins(chats, [pairs.Pair(0, 1), pairs.Pair(1, 2)]) == 0.75
    assert pairs.unmatched_longer_wins(chats, 2.0) == pytest.approx(2.5 / 3)
    assert pairs.longer_wins(chats, []) == 0.5
