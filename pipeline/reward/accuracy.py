"""How often a reward model orders held-out pairs right, with intervals, beside length alone on the same pairs.

Pure: scores and pairs in, numbers out. Pairs share chats, so they are not independent: the bootstrap draws chats.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from pipeline.evaluate.summary import wilson
from pipeline.reward.pairs import Pair


def accuracy(scores: Sequence[float], pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """1 where the chosen chat has the higher score, 0.5 where both are equal: ``[pairs]``."""
    gaps = [scores[p.chosen] - scores[p.rejected] for p in pairs]
    return np.asarray((np.sign(gaps) + 1) / 2, dtype=np.float64)


def bootstrap(
    hits: NDArray[np.float64], pairs: Sequence[Pair], chats: int, *, resamples: int, confidence: float, seed: int
) -> tuple[float, float]:
    """Percentile interval of the accuracy when chats, not pairs, are drawn with replacement.

    A pair counts as often as both its chats were drawn (two-sample bootstrap of a U-statistic).
    """
    draws = np.random.default_rng(seed).multinomial(chats, np.full(chats, 1 / chats), size=resamples)
    weights = draws[:, [p.chosen for p in pairs]] * draws[:, [p.rejected for p in pairs]]
    total = weights.sum(axis=1)
    means = (weights @ hits)[total > 0] / total[total > 0]
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def report(
    scores: Sequence[float],
    pairs: Sequence[Pair],
    length_hits: float,
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, Any]:
    """Accuracy, both intervals, the length baseline, and whether the lower of the lower bounds beats it and chance."""
    assert pairs, "no held-out pair"
    hits = accuracy(scores, pairs)
    drawn = bootstrap(hits, pairs, len(scores), resamples=resamples, confidence=confidence, seed=seed)
    plain = wilson(round(float(hits.sum())), len(pairs), float(norm.ppf((1 + confidence) / 2)))
    lower = min(drawn[0], plain[0])
    return {
        "pairs": len(pairs),
        "chats": len(scores),
        "accuracy": float(hits.mean()),
        "confidence": confidence,
        "wilson": list(plain),
        "bootstrap": list(drawn),
        "lower": lower,
        "length_baseline": length_hits,
        "beats_length": lower > max(0.5, length_hits),
    }
