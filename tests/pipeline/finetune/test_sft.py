"""The finetuning task: what it is made of, and that it learns."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster.errors import UserError
from models.optim_config import OptimConfig
from pipeline.finetune import packing, select, sft, view
from pipeline.finetune.config import FinetuneConfig
from pipeline.pretrain.loop import train_local
from pipeline.stage import StageFolder
from tests.pipeline.finetune import tiny

OPTIM = OptimConfig(peak_lr=1e-2, warmup_fraction=0.1, decay_fraction=0.5, final_lr_fraction=0.1)


def config(**over: Any) -> FinetuneConfig:
    return FinetuneConfig(**{"tokens": 1536, "batch": 4, "heldout_tokens": 256, "optim": OPTIM, **over})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = str(tmp_path_factory.mktemp("run"))
    tiny.write_gpt(made, "pretrain", tiny.shape(tiny.write_inputs(made)))
    return made


def material(run: str, cfg: FinetuneConfig) -> select.Material:
    corpus, tokens = StageFolder.open(run, "corpus"), StageFolder.open(run, "tokens")
    return select.material(corpus, tokens, cfg, tiny.CONTEXT, seed=1)


def test_material_is_a_function_of_corpus_and_config(run: str) -> None:
    first, again = material(run, config()), material(run, config())
    np.testing.assert_array_equal(first.train, again.train)
    assert first.prompts == again.prompts and first.counts == again.counts
    assert first.counts["slots"] >= 1536 > first.counts["slots"] - tiny.CONTEXT * 4
    assert first.counts["documents_passed_over"]["language"] > 0
    assert first.counts["filled"] > 0.8
    assert not np.array_equal(first.train, select.material(*folders(run), config(), tiny.CONTEXT, seed=2).train)


def folders(run: str) -> tuple[StageFolder, StageFolder]:
    return StageFolder.open(run, "corpus"), StageFolder.open(run, "tokens")


def test_a_source_without_dialogues_is_refused(run: str) -> None:
    with pytest.raises(UserError, match="plays"):
        material(run, config(sources=("plays",)))


def test_training_lowers_the_held_out_loss_and_compares(run: str, tmp_path: Path) -> None:
    cfg = config(epochs=2, curve_points=2, samples=3, sample_tokens=6)
    made = material(run, cfg)
    own = StageFolder.open(run, "finetune", "f")
    own.write_bytes(sft.TRAIN, packing.to_bytes(made.train))
    own.write_bytes(sft.HELDOUT, packing.to_bytes(made.heldout))
    own.write_json("dialogues.json", made.counts)
    task = sft.make_task(run, config=cfg.model_dump(mode="json"), seed=1, fingerprint="f")
    shards = [task.shard(step, g).tokens.numpy() for step in range(-(-len(made.train) // 4)) for g in range(4)]
    seen = np.concatenate(shards)[: len(made.train)]
    assert sorted(map(bytes, seen)) == sorted(map(bytes, made.train[:, packing.TOKENS].astype(seen.dtype)))
    trained = train_local(task)
    assert task.tokens(task.steps) >= 2 * 12 * tiny.CONTEXT
    probes = [line["probe"] for line in trained.history if "probe" in line]
    assert len(probes) == 2 and probes[1] < probes[0]
    trained.write_model(own)
    stages = {"before": StageFolder.open(run, "pretrain"), "after": own}
    losses, samples = sft.compare(stages, folders(run)[1], cfg, made.heldout, made.prompts, seed=1)
    assert losses["after"] < losses["before"]
    assert losses["before"] == pytest.approx(probes[0], abs=1e-4)
    assert len(samples) == 3 and set(samples[0]) == {"prompt", "before", "after"}
    own.write_json("heldout.json", losses)
    own.write_jsonl("samples.jsonl", samples)
    section = view.section(own, {})
    assert section is not None and "nats a token" in section.lead
    assert max(len(f"{value}: {name}") for name, value in section.headline) <= 35  # a line of 80 columns
    assert view.section(StageFolder.open(str(tmp_path), "finetune"), {}) is None
