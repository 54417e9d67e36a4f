"""The reward model: padding changes nothing, the loss is shift-invariant, and it learns a ranking."""

from typing import Any

import pytest
import torch

from cluster.errors import UserError
from models.heads import ScalarModel
from models.losses import bradley_terry_sum
from models.optim_config import OptimConfig
from pipeline.finetune.dialogues import read
from pipeline.pretrain.loop import train_local
from pipeline.reward import measure, ranking, view
from pipeline.reward.config import RewardConfig
from pipeline.reward.ranking import Batch, RankingTask, score_all, scores
from pipeline.stage import StageFolder
from pipeline.tokens.pieces import load_tokenizer
from tests.pipeline.finetune import tiny

OPTIM = OptimConfig(peak_lr=1e-2, warmup_fraction=0.1, decay_fraction=0.5, final_lr_fraction=0.1)


def config(**over: Any) -> RewardConfig:
    small = {"pairs": 96, "batch": 8, "max_tokens": 32, "min_gap": 1.0, "length_tolerance": 0.3, "optim": OPTIM}
    return RewardConfig(**{**small, **over})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = str(tmp_path_factory.mktemp("run"))
    tiny.write_gpt(made, "finetune", tiny.shape(tiny.write_inputs(made)))
    return made


@pytest.fixture
def model(run: str) -> ScalarModel:
    task = RankingTask(config(), 1, [[[4, 5], [6]]], StageFolder.open(run, "finetune"))
    made = task.build()
    assert isinstance(made, ScalarModel)
    made.init_head(0.5)
    return made.eval()


@torch.no_grad()
def test_padding_and_company_change_no_score(model: ScalarModel) -> None:
    chats = [[5, 6, 7], [9, 8, 7, 6, 5, 4, 3, 2], [4]]
    together = scores(model, Batch.of(chats))
    alone = torch.cat([scores(model, Batch.of([chat])) for chat in chats])
    other_pad = scores(model, Batch.of(chats, pad_id=77))
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together, other_pad, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(torch.tensor(score_all(model, chats, batch=2)), alone, atol=1e-5, rtol=1e-5)


def test_the_loss_sees_differences_only() -> None:
    chosen, rejected = torch.tensor([1.0, -2.0]), torch.tensor([0.0, 0.5])
    torch.testing.assert_close(bradley_terry_sum(chosen + 7, rejected + 7)[0], bradley_terry_sum(chosen, rejected)[0])


def test_it_learns_a_ranking_and_keeps_it_on_new_pairs(run: str) -> None:
    """Utility: how many of the tokens are 10. The head starts at std 0, where every pair is a coin flip."""
    generator = torch.Generator().manual_seed(0)

    def pair() -> list[list[int]]:
        good = torch.randint(4, 30, (12,), generator=generator)
        good[::3] = 10
        return [good.tolist(), torch.randint(11, 30, (12,), generator=generator).tolist()]

    task = RankingTask(
        config(pairs=160, head_std=0.0), 1, [pair() for _ in range(64)], StageFolder.open(run, "finetune")
    )
    trained = train_local(task)
    assert trained.history[0]["loss"] == pytest.approx(0.6931, abs=1e-3)
    assert isinstance(trained.model, ScalarModel)
    new = [pair() for _ in range(50)]
    good, bad = (score_all(trained.model.eval(), side) for side in zip(*new, strict=True))
    assert sum(g > b for g, b in zip(good, bad, strict=True)) >= 45


def test_from_the_corpus_to_an_accuracy(run: str) -> None:
    corpus, tokens = StageFolder.open(run, "corpus"), StageFolder.open(run, "tokens")
    made = measure.material(corpus, tokens, config(), seed=1)
    assert made.counts["passed_over"]["untouched default"] > 0
    assert made.counts["passed_over"]["no answer"] > 0
    assert max(len(ids) for pair in made.work["train"] for ids in pair) <= 32
    own = StageFolder.open(run, "reward", "f")
    own.write_json(ranking.PAIRS, made.work)
    own.write_json("pairs.json", made.counts)
    task = ranking.make_task(run, config=config().model_dump(mode="json"), seed=1, fingerprint="f")
    trained = train_local(task)
    trained.write_model(own)
    found = measure.accuracy_of(own, made.work, config(), seed=1)
    assert found["pairs"] == made.counts["pairs"]["heldout"] > 0
    assert 0 <= found["lower"] <= found["accuracy"] <= 1
    own.write_json("accuracy.json", found)
    section = view.section(own, {})
    assert section is not None and "length alone" in section.lead
    assert max(len(f"{value}: {name}") for name, value in section.headline[:1]) <= 35  # a line of 80 columns


def test_held_out_chats_train_no_reward_model(run: str) -> None:
    """Later stages are measured on them, so their text may not be in a training pair."""
    corpus, tokens = StageFolder.open(run, "corpus"), StageFolder.open(run, "tokens")
    tokenizer = load_tokenizer(tokens)
    everything = config(pairs=100_000, heldout_share=0.01, max_tokens=1000)
    trained = {tuple(ids) for pair in measure.material(corpus, tokens, everything, 1).work["train"] for ids in pair}
    heldout, _ = read(corpus, "heldout", ("chats",))
    assert trained and heldout
    assert not trained & {tuple(ranking.encode(tokenizer, chat, 1000)) for chat in heldout}


def test_too_few_ratings_are_refused(run: str) -> None:
    corpus, tokens = StageFolder.open(run, "corpus"), StageFolder.open(run, "tokens")
    with pytest.raises(UserError, match="min_gap"):
        measure.material(corpus, tokens, config(min_gap=9.9), seed=1)
