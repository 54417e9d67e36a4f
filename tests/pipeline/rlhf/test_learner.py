"""The learner: one computation twice gives the same bits, and a checkpoint is all of its state."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models import checkpoint
from models.generate import sequence_logprobs
from pipeline.rlhf import loop, prompts
from pipeline.rlhf.batch import Batch
from pipeline.rlhf.learner import BehindError, Learner
from pipeline.rlhf.rollout import padded
from pipeline.rlhf.types import Experience
from pipeline.stage import StageFolder
from tests.pipeline.rlhf.crew import TINY, LocalCrew, kl, setup, write_run
from tests.pipeline.rlhf.crew import prompts as collect


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = str(tmp_path_factory.mktemp("run"))
    write_run(made)
    return made


@pytest.fixture(scope="module")
def experience(run: str) -> list[Experience]:
    made = setup(run)
    return LocalCrew(made).experience(0, prompts.train_chunks(collect(made).train, TINY.sampling, 1, 0))


def state(learner: Learner) -> str:
    tensors = {**learner.policy.state_dict(), **{f"v.{k}": v for k, v in learner.value.state_dict().items()}}
    return checkpoint.digest(tensors)


def test_generated_log_probabilities_are_those_that_are_read(run: str, experience: list[Experience]) -> None:
    policy = Learner(setup(run)).policy
    for e in experience:
        tokens, lengths = padded([p.ids for p in e.chunk.prompts], [r.tokens for r in e.replies])
        read = sequence_logprobs(policy, tokens, lengths)
        for row, (prompt, reply) in enumerate(zip(e.chunk.prompts, e.replies, strict=True)):
            place = slice(len(prompt.ids) - 1, lengths[row] - 1)
            np.testing.assert_allclose(read[row, place].detach().numpy(), reply.logprobs, atol=1e-5)
            np.testing.assert_allclose(e.reference[row], reply.logprobs, atol=1e-5)  # the policy is the reference yet


def test_the_batch_holds_each_reply_token_once(experience: list[Experience]) -> None:
    batch = Batch.of(experience, [1.0] * 8)
    replies = [r for e in experience for r in e.replies]
    assert batch.mask.sum(1).tolist() == [len(r.tokens) for r in replies]
    assert batch.tokens[:, 1:][batch.mask].tolist() == [t for r in replies for t in r.tokens]
    assert batch.old_logp[batch.mask].tolist() == pytest.approx([p for r in replies for p in r.logprobs])


def test_an_update_starts_at_ratio_one_and_value_zero(run: str, experience: list[Experience]) -> None:
    learner = Learner(setup(run))
    scores = [float(i) for i in range(8)]
    with torch.no_grad():
        assert float(learner.value(torch.tensor([[5, 6]])).abs().max()) == 0.0
    before = state(learner)
    weights, facts = learner.update(0, experience, scores, keep=False)
    assert facts["ratio_error"] < 1e-4
    assert facts["coefficient"] == TINY.kl.coefficient and not facts["braked"]
    assert facts["clip_fraction"] >= 0 and facts["entropy"] > 0
    assert state(learner) != before
    assert all(
        np.array_equal(a, t.numpy())
        for a, t in zip(weights.values(), learner.policy.state_dict().values(), strict=True)
    )


def test_a_better_reply_becomes_likelier(run: str, experience: list[Experience]) -> None:
    """Every reply holds its own score: the likelihood of the good half rises against that of the bad half."""
    learner = Learner(setup(run))
    scores = [1.0, 0.0] * 4
    batch = Batch.of(experience, scores)

    def gap() -> float:
        lengths = (batch.mask.int() * torch.arange(1, batch.mask.shape[1] + 1)).amax(1) + 1
        with torch.no_grad():
            logp = sequence_logprobs(learner.policy, batch.tokens, lengths.tolist())
        each = (logp * batch.mask).sum(1)
        return float(each[0::2].mean() - each[1::2].mean())

    before = gap()
    learner.update(0, experience, scores, keep=False)
    assert gap() > before


def test_the_same_update_gives_the_same_bits(run: str, experience: list[Experience]) -> None:
    scores = [float(i % 3) for i in range(8)]
    learners = [Learner(setup(run)) for _ in range(2)]
    facts = [learner.update(0, experience, scores, keep=False)[1] for learner in learners]
    assert facts[0] == facts[1]
    assert state(learners[0]) == state(learners[1])


def test_going_on_and_resuming_give_the_same_bits(run: str, experience: list[Experience], tmp_path: Path) -> None:
    scores = [float(i % 3) for i in range(8)]
    folder = StageFolder.open(str(tmp_path), "rlhf", "f")
    crew, other = LocalCrew(setup(run)), Learner(setup(run))
    one = crew.learner
    crew.update(0, experience, scores, keep=True)
    one.save(1, folder, {"rows": [1], "evaluations": []})
    with pytest.raises(BehindError):
        other.update(1, experience, scores, keep=False)
    other.restore(1, folder)
    second = crew.experience(1, [e.chunk for e in experience])
    assert one.update(1, second, scores, keep=False)[1] == other.update(1, second, scores, keep=False)[1]
    assert state(one) == state(other) and one.coefficient == other.coefficient
    assert all(np.array_equal(one.kept[k], other.kept[k]) for k in one.kept)
    one.restore(0, folder)
    assert state(one) == state(Learner(setup(run)))


def test_the_optimiser_is_the_one_that_is_asked_for(run: str, experience: list[Experience], tmp_path: Path) -> None:
    other = {
        f: getattr(TINY.ppo, f).model_copy(update={"kind": kind}) for f, kind in (("policy", "sgd"), ("value", "lion"))
    }
    asked = setup(run, TINY.model_copy(update={"ppo": TINY.ppo.model_copy(update=other)}))
    scores = [float(i % 3) for i in range(8)]
    plain, first, again = Learner(setup(run)), Learner(asked), Learner(asked)
    folder = StageFolder.open(str(tmp_path), "rlhf", "f")
    for learner in (plain, first):
        learner.update(0, experience, scores, keep=False)
    assert all(not torch.equal(a, b) for a, b in zip(plain.value.parameters(), first.value.parameters(), strict=True))
    first.save(1, folder, {})
    again.restore(1, folder)
    assert state(again) == state(first)
    kinds = [step.optimizer.param_groups[0]["kind"] for step in (first.policy_step, first.value_step)]
    assert kinds == ["sgd", "lion"]


def test_the_two_newest_checkpoints_stay(run: str, tmp_path: Path) -> None:
    folder = StageFolder.open(str(tmp_path), "rlhf", "f")
    learner = Learner(setup(run))
    for iteration in (1, 2, 3):
        learner.iteration = iteration
        learner.save(iteration, folder, {})
    assert {p.split("/")[1] for p in folder.pieces("checkpoints/")} == {"000002", "000003"}


def test_near_the_bound_only_the_penalty_trains(run: str, experience: list[Experience]) -> None:
    """A policy that left the reference is pulled back, whatever the scores say."""
    config = TINY.model_copy(update={"kl": kl(bound=1e-9, target=1e-9, coefficient=0.5)})
    far = [
        Experience(e.chunk, e.replies, tuple(tuple(x - 0.5 for x in ref) for ref in e.reference), e.verdicts)
        for e in experience
    ]
    learners = [Learner(setup(run, config)) for _ in range(2)]
    facts = [one.update(0, far, [float(s)] * 8, keep=False)[1] for one, s in zip(learners, (0, 100), strict=True)]
    assert facts[0]["braked"]
    assert facts[0] == facts[1]
    assert learners[0].coefficient == 1.0  # doubled


def test_headline_of_the_reward_model_is_in_deviations_of_the_reference() -> None:
    made = loop.Headline.of("model", {"model_scores": [1.0, 3.0]})
    assert (made.mean, made.std) == (2.0, 1.0)
    assert loop.choose_headline(TINY, {"beats_length": True}) == "model"
    assert loop.choose_headline(TINY, {"beats_length": False}) == "rule"
    forced = TINY.model_copy(update={"headline": "rule"})
    assert loop.choose_headline(forced, {"beats_length": True}) == "rule"
