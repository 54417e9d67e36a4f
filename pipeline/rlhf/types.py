"""What travels between the driver and the actors of RLHF. Plain data: no torch, no ray."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.rlhf.config import RlhfConfig
from pipeline.stage import StageFolder

Split = Literal["train", "heldout"]
Weights = dict[str, NDArray[np.float32]]
"""A version of the policy, by parameter name: one immutable object that any actor may read."""


@dataclass(frozen=True)
class Setup:
    """What every actor is built from, again after each restart: the inputs' folders, the config, the seed."""

    inputs: dict[str, StageFolder]
    config: RlhfConfig
    seed: int


@dataclass(frozen=True)
class Prompt:
    """A first user turn: its place in the list of its split, its text, and its ids, open for the assistant."""

    number: int
    text: str
    ids: tuple[int, ...]


@dataclass(frozen=True)
class Chunk:
    """The unit of generation and of scoring. Whoever computes it, whenever, gets the same bits.

    `step` is the iteration for training prompts; held-out prompts always have step 0, so that two versions of the
    policy answer with the same random numbers.
    """

    split: Split
    step: int
    index: int
    prompts: tuple[Prompt, ...]
    samples: tuple[int, ...]  # how often each prompt was drawn before: its own random stream

    def keys(self, seed: int) -> list[tuple[int, ...]]:
        """The random stream of each reply: (seed, split, step, prompt, sample); `generate` adds the token."""
        split = {"train": 0, "heldout": 1}[self.split]
        drawn = zip(self.prompts, self.samples, strict=True)
        return [(seed, split, self.step, prompt.number, sample) for prompt, sample in drawn]


@dataclass(frozen=True)
class Reply:
    """What the policy answered: ids, their log-probabilities, and whether it ended by itself."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    ended: bool


@dataclass(frozen=True)
class Verdict:
    """A reply's text, the shares of the rule that it meets (0 to 1), and the reward model's score."""

    text: str
    rule: float
    model: float


@dataclass(frozen=True)
class Experience:
    """A chunk with its replies, the reference's log-probabilities of their tokens, and the verdicts."""

    chunk: Chunk
    replies: tuple[Reply, ...]
    reference: tuple[tuple[float, ...], ...]
    verdicts: tuple[Verdict, ...]

    def log_ratios(self) -> list[float]:
        """Each reply's log-ratio of policy to reference, in nats: k1 summed over its tokens."""
        pairs = zip(self.replies, self.reference, strict=True)
        return [float(np.sum(np.array(r.logprobs) - np.array(ref))) for r, ref in pairs]
