"""Before and after on the held-out prompts, with paired intervals, and samples. Knows no actor and no model."""

from typing import Any

import numpy as np

from pipeline.rlhf.loop import Progress
from pipeline.rlhf.prompts import Prompts

RESAMPLES, CONFIDENCE = 2000, 0.95
FACTS = ("iteration", "reward", "rule", "model_score", "length", "ended", "kl", "kl_k3")


def interval(values: list[float], seed: int) -> list[float]:
    """Percentile bootstrap interval of a mean over prompts."""
    draws = np.random.default_rng(seed).integers(0, len(values), size=(RESAMPLES, len(values)))
    means = np.array(values)[draws].mean(axis=1)
    tails = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return [float(t) for t in tails]


def heldout(progress: Progress, kind: str, bound: float, seed: int) -> dict[str, Any]:
    """The first evaluation beside that of the policy that is kept; the gain is paired by prompt."""
    place = progress.within
    assert place is not None, "the reference itself is within any bound"
    first, kept = progress.evaluations[0], progress.evaluations[place]
    gains = [b - a for a, b in zip(first["rewards"], kept["rewards"], strict=True)]
    sides = {"before": first, "after": kept}
    return {
        "headline": kind,
        "prompts": len(first["rewards"]),
        "kl_bound": bound,
        "kept_iteration": kept["iteration"],
        "last_is_kept": place == len(progress.evaluations) - 1,
        "confidence": CONFIDENCE,
        **{s: {k: e[k] for k in FACTS} | {"interval": interval(e["rewards"], seed)} for s, e in sides.items()},
        "gain": {"mean": float(np.mean(gains)), "interval": interval(gains, seed)},
    }


def samples(progress: Progress, prompts: Prompts) -> list[dict[str, Any]]:
    """Replies to held-out prompts, with the same random numbers, of the reference and of the kept policy."""
    place = progress.within
    assert place is not None
    first, kept = progress.evaluations[0], progress.evaluations[place]
    rows = zip(prompts.heldout, first["replies"], first["rules"], kept["replies"], kept["rules"], strict=False)
    return [
        {"prompt": p.text, "before": before, "rule_before": a, "after": after, "rule_after": b}
        for p, before, a, after, b in rows
    ]


def curve(progress: Progress) -> list[dict[str, Any]]:
    """The evaluations without what is only needed inside."""
    return [{k: e[k] for k in FACTS} | {"within_bound": e["within_bound"]} for e in progress.evaluations]
