"""The loop over a crew of plain objects: rows, evaluations, resumption, and what is kept at the end."""

from pathlib import Path

import pytest

from pipeline.rlhf import loop, summary, view
from pipeline.rlhf.loop import Progress
from pipeline.stage import StageFolder
from tests.pipeline.rlhf.crew import TINY, LocalCrew, kl, prompts, setup, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = str(tmp_path_factory.mktemp("run"))
    write_run(made)
    return made


def test_rows_and_evaluations_and_what_the_report_shows(run: str, tmp_path: Path) -> None:
    made = setup(run)
    folder = StageFolder.open(str(tmp_path), "rlhf", "f")
    crew = LocalCrew(made, folder)
    progress = loop.run(crew, prompts(made), TINY, kind="rule", seed=1, progress=Progress())
    assert [r["iteration"] for r in progress.rows] == [0, 1, 2, 3]
    assert [e["iteration"] for e in progress.evaluations] == [0, 2, 4]
    assert progress.evaluations[0]["kl"] == pytest.approx(0.0, abs=1e-4)  # the policy is the reference
    assert progress.rows[0]["kl"] == pytest.approx(0.0, abs=1e-4)
    assert [len(s["rows"]) for s in crew.saved] == [2]
    half = view.section(folder, {})
    assert half is not None and "has not ended" in half.lead
    found = summary.heldout(progress, "rule", TINY.kl.bound, 1)
    low, high = found["gain"]["interval"]
    assert low <= found["gain"]["mean"] <= high
    folder.write_jsonl("metrics/iterations.jsonl", progress.rows)
    folder.write_jsonl("metrics/evaluations.jsonl", summary.curve(progress))
    folder.write_json("heldout.json", found)
    folder.write_jsonl("samples.jsonl", summary.samples(progress, prompts(made)))
    assert len(folder.read_jsonl("samples.jsonl")) == 2
    whole = view.section(folder, {})
    assert whole is not None and "complete reply" in whole.lead
    assert max(len(f"{value}: {name}") for name, value in whole.headline) <= 35  # a line of 80 columns


def test_a_new_driver_goes_on_where_the_old_one_saved(run: str, tmp_path: Path) -> None:
    made = setup(run)
    calm = loop.run(LocalCrew(made), prompts(made), TINY, kind="rule", seed=1, progress=Progress())
    folder = StageFolder.open(str(tmp_path), "rlhf", "f")
    first = LocalCrew(made, folder)
    loop.run(first, prompts(made), TINY, kind="rule", seed=1, progress=Progress())
    second = LocalCrew(made)
    second.learner.restore(2, folder)
    second.version, second.weights = 2, second.learner.weights(2)
    progress = Progress(**folder.read_json("checkpoints/000002/progress.json"))
    resumed = loop.run(second, prompts(made), TINY, kind="rule", seed=1, progress=progress)
    assert resumed.to_json() == calm.to_json()


def test_reward_rises_within_the_bound_where_it_is_easy(run: str) -> None:
    """Random weights rarely end a reply; ending is a quarter of the rule, so PPO finds it in a few iterations."""
    sampling = TINY.sampling.model_copy(update={"chunk": 16, "chunks": 4})
    fast = TINY.ppo.policy.model_copy(update={"peak_lr": 1e-2})
    ppo = TINY.ppo.model_copy(update={"minibatch": 32, "epochs": 4, "policy": fast, "value": fast})
    control = kl(coefficient=0.005, target=6.0)
    config = TINY.model_copy(update={"iterations": 12, "sampling": sampling, "ppo": ppo, "kl": control})
    made = setup(run, config)
    progress = loop.run(LocalCrew(made), prompts(made), config, kind="rule", seed=1, progress=Progress())
    assert progress.rows[-1]["reward"] > progress.rows[0]["reward"] + 0.1
    assert progress.rows[-1]["ended"] > progress.rows[0]["ended"] + 0.3
    assert all(e["within_bound"] for e in progress.evaluations)


def test_what_is_beyond_the_bound_is_not_kept(run: str) -> None:
    evaluation = {"rewards": [0.5], "rules": [0.5], "replies": ["a"], **dict.fromkeys(summary.FACTS, 0.0)}
    progress = Progress([], [evaluation | {"iteration": i, "within_bound": i < 2} for i in range(3)])
    assert progress.within == 1
    found = summary.heldout(progress, "rule", 10.0, 1)
    assert found["kept_iteration"] == 1 and not found["last_is_kept"]
