"""A crew without actors, and a tiny setup: the loop's contract on plain objects."""

from collections.abc import Sequence
from typing import Any

from models.optim_config import OptimConfig
from pipeline.rlhf.config import KlConfig, PpoConfig, RlhfConfig, SamplingConfig
from pipeline.rlhf.learner import Learner
from pipeline.rlhf.prompts import Prompts, collect
from pipeline.rlhf.rollout import Judge, Reference, Rollout
from pipeline.rlhf.types import Chunk, Experience, Setup
from pipeline.stage import StageFolder
from tests.pipeline.finetune import tiny

INPUTS = ("corpus", "tokens", "finetune", "reward")
OPTIM = OptimConfig(peak_lr=3e-3, warmup_fraction=0.0, decay_fraction=0.0, final_lr_fraction=1.0, weight_decay=0.0)
SAMPLING = SamplingConfig(prompts=40, heldout_prompts=6, reply_tokens=8, chunk=4, chunks=2, prompt_tokens=40)
TINY = RlhfConfig(
    iterations=4,
    sampling=SAMPLING,
    ppo=PpoConfig(epochs=2, minibatch=4, policy=OPTIM, value=OPTIM),
    evaluate_every=2,
    samples=2,
    threads=1,
    checkpoint_every=2,
)


def write_run(run: str) -> None:
    """Inputs of the stage, with random weights."""
    tokenizer = tiny.write_inputs(run)
    tiny.write_gpt(run, "finetune", tiny.shape(tokenizer))
    tiny.write_reward(run, tiny.shape(tokenizer))


def setup(run: str, config: RlhfConfig = TINY, seed: int = 1) -> Setup:
    return Setup({name: StageFolder.open(run, name) for name in INPUTS}, config, seed)


def prompts(made: Setup) -> Prompts:
    return collect(made.inputs["corpus"], made.inputs["tokens"], made.config.sampling, made.seed)


def kl(**over: Any) -> KlConfig:
    return KlConfig(**over)


class LocalCrew:
    """Everybody in this process; it keeps what it was asked to save."""

    def __init__(self, made: Setup, folder: StageFolder | None = None) -> None:
        self.rollout, self.reference, self.judge = Rollout(made), Reference(made), Judge(made)
        self.learner, self.folder = Learner(made), folder
        self.version, self.weights = 0, self.learner.weights(0)
        self.saved: list[dict[str, Any]] = []

    def experience(self, version: int, chunks: Sequence[Chunk]) -> list[Experience]:
        assert version == self.version
        found = []
        for chunk in chunks:
            replies = self.rollout.answer(chunk, version, self.weights)
            reference, verdicts = self.reference.logprobs((chunk, replies)), self.judge.judge((chunk, replies))
            found.append(Experience(chunk, replies, reference, verdicts))
        return found

    def update(self, iteration: int, experience: list[Experience], scores: list[float], keep: bool) -> dict[str, Any]:
        self.weights, facts = self.learner.update(iteration, experience, scores, keep)
        self.version = iteration + 1
        return facts

    def save(self, progress: dict[str, Any]) -> None:
        self.saved.append({k: list(v) for k, v in progress.items()})
        if self.folder is not None:
            self.learner.save(self.version, self.folder, progress)
