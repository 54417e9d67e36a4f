"""The loop of RLHF, iteration by iteration, over a crew that generates, judges and learns. Knows no actor and no torch.

A crew may be plain objects (a test) or Ray actors (job.py); nothing here depends on which, nor on how many they are.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.rlhf.config import RlhfConfig
from pipeline.rlhf.prompts import Prompts, heldout_chunks, train_chunks
from pipeline.rlhf.types import Chunk, Experience


class Crew(Protocol):
    """Who does the work. Version i of the policy is the one that iteration i generates with."""

    def experience(self, version: int, chunks: Sequence[Chunk]) -> list[Experience]:
        """Replies to the chunks with their reference log-probabilities and verdicts, in the order of the chunks."""

    def update(self, iteration: int, experience: list[Experience], scores: list[float], keep: bool) -> dict[str, Any]:
        """Learn; version ``iteration + 1`` stands afterwards. Returns what was measured."""

    def save(self, progress: dict[str, Any]) -> None:
        """Keep the state, and what was measured so far, for a new driver."""


@dataclass
class Progress:
    """What was measured: one row for each iteration, and the evaluations on held-out prompts."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {"rows": self.rows, "evaluations": self.evaluations}

    @property
    def within(self) -> int | None:
        """Place of the newest evaluation whose policy is within the KL bound."""
        found = [i for i, e in enumerate(self.evaluations) if e["within_bound"]]
        return found[-1] if found else None


@dataclass(frozen=True)
class Headline:
    """The reward that trains: the rule, or the reward model's score in standard deviations of the reference's."""

    kind: str
    mean: float = 0.0
    std: float = 1.0

    @classmethod
    def of(cls, kind: str, first: dict[str, Any] | None) -> "Headline":
        """From the evaluation of the reference, which is the first one."""
        if kind == "rule":
            return cls(kind)
        assert first is not None, "the reference is evaluated before anything is learnt"
        scores = first["model_scores"]
        mean = math.fsum(scores) / len(scores)
        variance = math.fsum((s - mean) ** 2 for s in scores) / len(scores)
        return cls(kind, mean, max(1e-6, math.sqrt(variance)))

    def scores(self, experience: Sequence[Experience]) -> list[float]:
        """The score of each reply, in order."""
        verdicts = [v for e in experience for v in e.verdicts]
        if self.kind == "rule":
            return [v.rule for v in verdicts]
        return [(v.model - self.mean) / self.std for v in verdicts]


def choose_headline(config: RlhfConfig, accuracy: dict[str, Any]) -> str:
    """The rule, unless the reward model's lower bound beats length alone on the same pairs, or the config decides."""
    if config.headline != "auto":
        return config.headline
    return "model" if accuracy["beats_length"] else "rule"


def run(
    crew: Crew,
    prompts: Prompts,
    config: RlhfConfig,
    *,
    kind: str,
    seed: int,
    progress: Progress,
    on_row: Callable[[dict[str, Any]], None] = lambda row: None,
) -> Progress:
    """Go on from what was measured so far to the last iteration, and evaluate before, between and after."""
    for iteration in range(len(progress.rows), config.iterations):
        due = iteration % config.evaluate_every == 0
        if due:
            _evaluate(crew, prompts, config, kind, iteration, progress)
        headline = Headline.of(kind, progress.evaluations[0])
        chunks = train_chunks(prompts.train, config.sampling, seed, iteration)
        experience = crew.experience(iteration, chunks)
        scores = headline.scores(experience)
        keep = due and progress.evaluations[-1]["within_bound"]
        facts = crew.update(iteration, experience, scores, keep)
        progress.rows.append({"iteration": iteration, "reward": _mean(scores), **measured(experience), **facts})
        on_row(progress.rows[-1])
        if (iteration + 1) % config.checkpoint_every == 0 and iteration + 1 < config.iterations:
            crew.save(progress.to_json())
    _evaluate(crew, prompts, config, kind, config.iterations, progress)
    return progress


def _evaluate(crew: Crew, prompts: Prompts, config: RlhfConfig, kind: str, iteration: int, progress: Progress) -> None:
    """Append the evaluation of the policy that stands before an iteration."""
    experience = crew.experience(iteration, heldout_chunks(prompts.heldout, config.sampling))
    verdicts = [v for e in experience for v in e.verdicts]
    found = {"iteration": iteration, "model_scores": [v.model for v in verdicts]}
    first = progress.evaluations[0] if progress.evaluations else found
    scores = Headline.of(kind, first).scores(experience)
    facts = measured(experience)
    found |= {"reward": _mean(scores), "rewards": scores, **facts, "within_bound": facts["kl"] <= config.kl.bound}
    found["replies"] = [v.text for v in verdicts[: config.samples]]
    found["rules"] = [v.rule for v in verdicts[: config.samples]]
    progress.evaluations.append(found)


def measured(experience: Sequence[Experience]) -> dict[str, float]:
    """Means over replies: the rule, the reward model's score, length in tokens, share that ended, KL in nats."""
    verdicts = [v for e in experience for v in e.verdicts]
    replies = [r for e in experience for r in e.replies]
    references = [ref for e in experience for ref in e.reference]
    k3 = [
        math.fsum(math.expm1(q - p) - (q - p) for p, q in zip(reply.logprobs, ref, strict=True))
        for reply, ref in zip(replies, references, strict=True)
    ]
    return {
        "rule": _mean([v.rule for v in verdicts]),
        "model_score": _mean([v.model for v in verdicts]),
        "length": _mean([float(len(r.tokens)) for r in replies]),
        "ended": _mean([float(r.ended) for r in replies]),
        "kl": _mean([ratio for e in experience for ratio in e.log_ratios()]),
        "kl_k3": _mean(k3),
    }


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
