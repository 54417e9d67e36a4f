"""Duplicates: LSH and the decision on text against brute force."""

import itertools

import numpy as np

from pipeline.corpus import dedup, minhash, shingles
from tests.support.corpus import Writer

WORDS, BANDS, ROWS, THRESHOLD = 5, 14, 8, 0.75


def texts() -> list[str]:
    """Sixty texts with families of near-copies, the longest first."""
    say = Writer("dedup")
    made = [say.text(12) for _ in range(30)]
    made += [say.change(made[i % 10], 1 + i // 10) for i in range(30)]
    return sorted(made, key=lambda text: -len(text))


def found(made: list[str]) -> list[dedup.Match]:
    """What the stage would drop, by position."""
    grams = shingles.grams(made, WORDS, whole=True)
    pairs = dedup.candidates(minhash.band_keys(minhash.signatures(grams, BANDS * ROWS), BANDS, ROWS), 8)
    matches = []
    for members in dedup.clusters(pairs, len(made)):
        own = [(members.index(a), members.index(b)) for a, b in pairs.tolist() if a in members and b in members]
        for match in dedup.decide([made[m] for m in members], own, WORDS, THRESHOLD):
            matches.append(dedup.Match(members[match.dropped], members[match.kept], match.score))
    return matches


def brute(made: list[str]) -> dict[tuple[int, int], float]:
    sets = [{tuple(t.lower().split()[i : i + WORDS]) for i in range(len(t.split()) - WORDS + 1)} for t in _plain(made)]
    return {
        (a, b): len(sets[a] & sets[b]) / len(sets[a] | sets[b]) for a, b in itertools.combinations(range(len(made)), 2)
    }


def _plain(made: list[str]) -> list[str]:
    return ["".join(c if c.isalnum() else " " for c in text) for text in made]


def test_each_drop_is_true_and_nearly_all_true_pairs_are_found() -> None:
    made = texts()
    truth = brute(made)
    matches = found(made)
    gone = {match.dropped for match in matches}
    for match in matches:
        assert match.kept not in gone and match.kept < match.dropped
        assert abs(truth[match.kept, match.dropped] - match.score) < 1e-5 and match.score >= THRESHOLD
    near = [pair for pair, score in truth.items() if score >= 0.9]
    assert len(near) >= 8 and all(a in gone or b in gone for a, b in near)
    assert not {
        d for d in gone if not any(truth[min(d, k), max(d, k)] >= THRESHOLD for k in range(len(made)) if k != d)
    }


def test_a_friend_of_a_friend_stays() -> None:
    """a ~ b ~ c, but a and c are not close: b goes for a, and c stays."""
    words = [f"w{i}" for i in range(130)]
    a, b, c = (" ".join(words[i : i + 100 - i // 12]) for i in (0, 12, 24))
    matches = dedup.decide([a, b, c], [(0, 1), (1, 2)], WORDS, 0.7)
    assert [(m.dropped, m.kept) for m in matches] == [(1, 0)]
    assert matches[0].score < 1


def test_the_longest_and_then_the_first_survives() -> None:
    base = " ".join(f"w{i}" for i in range(60))
    matches = dedup.decide([base + " and more", base, base], [(0, 1), (1, 2)], WORDS, THRESHOLD)
    assert [(m.dropped, m.kept) for m in matches] == [(1, 0), (2, 0)]


def test_exact_duplicates_keep_the_smallest_id() -> None:
    assert dedup.exact(["c", "a", "b", "d"], [b"x", b"x", b"x", b"y"]) == {0: 1, 2: 1}
    assert dedup.exact(["a", "a"], [b"x", b"x"]) == {1: 0}
    assert dedup.exact([], []) == {}


def test_huge_buckets_stay_linear_and_connected() -> None:
    keys = np.zeros((500, 2), np.uint64)
    pairs = dedup.candidates(keys, following=3)
    assert len(pairs) < 500 * 5 and (pairs[:, 0] < pairs[:, 1]).all()
    assert dedup.clusters(pairs, 500) == [list(range(500))]


def test_candidates_share_a_band() -> None:
    keys = np.array([[1, 9], [2, 8], [1, 7], [3, 8]], np.uint64)
    assert dedup.candidates(keys, 8).tolist() == [[0, 2], [1, 3]]
    assert dedup.candidates(np.zeros((0, 2), np.uint64), 8).tolist() == []
    assert dedup.candidates(np.zeros((1, 2), np.uint64), 8).tolist() == []
    assert dedup.clusters(np.zeros((0, 2), np.int64), 5) == []


def test_the_jaccard_index_of_sets() -> None:
    a, b = np.array([1, 2, 3], np.uint64), np.array([2, 3, 4, 5], np.uint64)
    assert dedup.jaccard(a, b) == 2 / 5
    assert dedup.jaccard(a[:0], b[:0]) == 0
