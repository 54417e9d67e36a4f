"""Pairs of chats, one of which people rated higher, matched by length. Knows no tokens of a model and no training.

Three traps of such ratings are met here: the form's untouched default is no opinion; a chat of one turn has nothing to
rate; and the longer chat is rated higher, so a model that only counts words looks good unless lengths are matched.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.finetune.dialogues import Dialogue
from pipeline.reward.config import RewardConfig
from pipeline.rows import fraction


@dataclass(frozen=True)
class Rated:
    """A chat, the mean of its ratings, and the length of all its text in characters."""

    dialogue: Dialogue
    score: float
    length: int


@dataclass(frozen=True)
class Pair:
    """Places of two chats in a list: the first was rated higher."""

    chosen: int
    rejected: int


def rated(dialogues: Sequence[Dialogue], config: RewardConfig) -> tuple[list[Rated], Counter[str]]:
    """Chats whose ratings say something, and how many were passed over for which reason."""
    kept: list[Rated] = []
    passed: Counter[str] = Counter()
    for dialogue in dialogues:
        values = [value for _, value in dialogue.ratings]
        if not values:
            passed["not rated"] += 1
        elif all(value == config.default_rating for value in values):
            passed["untouched default"] += 1
        elif len(dialogue.turns) < config.min_turns:
            passed["too few turns"] += 1
        else:
            length = sum(len(turn.text) for turn in dialogue.turns)
            kept.append(Rated(dialogue, sum(values) / len(values), length))
    return kept, passed


def split(kept: Sequence[Rated], heldout: Sequence[Rated], share: float, salt: str) -> tuple[list[Rated], list[Rated]]:
    """Chats that train, and chats that test: all that the corpus held out, and a share of the others by hash.

    So no chat stands in pairs of both, and what later stages are measured on has trained no reward model.
    """

    def ordered(chats: Sequence[Rated]) -> list[Rated]:
        return sorted(chats, key=lambda c: (fraction(c.dialogue.id, salt), c.dialogue.id))

    tests = {c.dialogue.id for c in kept if fraction(c.dialogue.id, salt) < share}
    train = [c for c in kept if c.dialogue.id not in tests]
    return ordered(train), ordered([*heldout, *(c for c in kept if c.dialogue.id in tests)])


def match(chats: Sequence[Rated], config: RewardConfig) -> list[Pair]:
    """Pairs of nearly equal length and clearly different score; each chat stands in at most `uses` of them.

    Candidates are taken in the order of a hash: walking by length would spend the rare low ratings on shorter partners,
    and length would come back in through the door. So a prefix of the list is a fair sample, too.
    """
    order = sorted(range(len(chats)), key=lambda i: (chats[i].length, chats[i].dialogue.id))
    candidates = []
    for at, i in enumerate(order):
        for j in order[at + 1 :]:
            if chats[i].length < chats[j].length * (1 - config.length_tolerance):
                break
            gap = chats[i].score - chats[j].score
            if abs(gap) >= config.min_gap:
                pair = Pair(i, j) if gap > 0 else Pair(j, i)
                name = f"{chats[i].dialogue.id}/{chats[j].dialogue.id}"
                candidates.append((fraction(name, "pair"), name, pair))
    uses: Counter[int] = Counter()
    found = []
    for _, _, pair in sorted(candidates, key=lambda c: c[:2]):
        if uses[pair.chosen] < config.uses and uses[pair.rejected] < config.uses:
            found.append(pair)
            uses.update((pair.chosen, pair.rejected))
    return found


def longer_wins(chats: Sequence[Rated], pairs: Sequence[Pair]) -> float:
    """Share of pairs that "the longer chat is better" orders right; equal lengths count half."""
    if not pairs:
        return 0.5
    hits = [np.sign(chats[p.chosen].length - chats[p.rejected].length) for p in pairs]
    return float(np.mean((np.array(hits) + 1) / 2))


def unmatched_longer_wins(chats: Sequence[Rated], min_gap: float) -> float:
    """The same share over all pairs of chats with that gap, whatever their lengths: what matching guards against."""
    score = np.array([c.score for c in chats])
    length = np.array([c.length for c in chats])
    first, second = np.nonzero(score[:, None] - score[None, :] >= min_gap)
    if not len(first):
        return 0.5
    return float(np.mean((np.sign(length[first] - length[second]) + 1) / 2))
