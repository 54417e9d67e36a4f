"""Accuracy with its intervals."""

import numpy as np

from pipeline.reward import accuracy
from pipeline.reward.pairs import Pair


def test_ties_count_half() -> None:
    pairs = [Pair(0, 1), Pair(1, 0), Pair(1, 2)]
    assert accuracy.accuracy([2.0, 1.0, 1.0], pairs).tolist() == [1.0, 0.0, 0.5]


def test_the_bayes_rate_of_known_utilities() -> None:
    """Scores that are the true utilities order a pair right with probability sigmoid(difference)."""
    draw = np.random.default_rng(0)
    utility = draw.normal(0, 1, 2000)
    pairs, expected = [], []
    for a, b in draw.integers(0, 2000, (8000, 2)):
        right = 1 / (1 + np.exp(-(utility[a] - utility[b])))
        pairs.append(Pair(int(a), int(b)) if draw.random() < right else Pair(int(b), int(a)))
        expected.append(max(right, 1 - right))
    hits = accuracy.accuracy(utility.tolist(), pairs)
    assert abs(float(hits.mean()) - float(np.mean(expected))) < 0.02


def test_the_bootstrap_over_chats_is_wider_where_pairs_share_chats() -> None:
    draw = np.random.default_rng(1)
    hubs = [Pair(0, i) for i in range(1, 101)]  # one chat decides all of them
    apart = [Pair(2 * i, 2 * i + 1) for i in range(100)]
    hits = (draw.random(100) < 0.6).astype(float)
    settings = {"resamples": 500, "confidence": 0.95, "seed": 3}
    star = accuracy.bootstrap(hits, hubs, 200, **settings)
    loose = accuracy.bootstrap(hits, apart, 200, **settings)
    for low, high in (star, loose):
        assert low < hits.mean() < high
    assert accuracy.bootstrap(hits, apart, 200, **settings) == loose


def test_the_report_compares_with_the_lower_bound() -> None:
    pairs = [Pair(2 * i, 2 * i + 1) for i in range(300)]
    scores = [float(k % 2 == 0 or k % 10 == 9) for k in range(600)]  # right in 4 of 5 pairs, equal in the fifth
    settings = {"resamples": 200, "confidence": 0.95, "seed": 0}
    found = accuracy.report(scores, pairs, 0.5, **settings)
    assert found["accuracy"] == 0.9 and found["lower"] < 0.9 and found["beats_length"]
    assert not accuracy.report(scores, pairs, 0.9, **settings)["beats_length"]
