"""The pieces of an evaluation: together they are everything, and their size changes no result."""

import math
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import UserError
from models.gpt import GPT
from pipeline.evaluate.chunks import Material, Sources, load_material
from pipeline.evaluate.config import EvaluateConfig
from pipeline.evaluate.view import comparison, section
from pipeline.evaluate.weights import check_match, load_gpt
from pipeline.stage import StageFolder
from pipeline.tokens.pieces import load_tokenizer
from tests.pipeline.evaluate.tiny import random_gpt, uniform_gpt, write_run, write_stage


def material(folders: dict[str, StageFolder], **fields: Any) -> Material:
    return load_material(Sources(folders["corpus"], folders["tokens"], EvaluateConfig(**fields), context=64, seed=1))


def evaluate(made: Material, model: GPT) -> dict[str, Any]:
    return made.results({chunk: made.rows(model, chunk) for chunk in made.chunks()})


def test_chunks_hold_every_window_and_item_once(tmp_path: Path) -> None:
    made = material(write_run(str(tmp_path)), chunk_windows=2, chunk_items=3)
    chunks = made.chunks()
    assert len({c.piece for c in chunks}) == len(chunks)
    sizes: dict[tuple[str | None, int], list[int]] = {}
    for c in chunks:
        sizes.setdefault((c.kind, c.shots), []).extend(range(c.first, c.last))
    assert sizes.pop((None, 0)) == list(range(len(made.windows)))
    assert sizes == {(kind, k): list(range(7)) for kind in ("choice", "cloze") for k in (0, 2)}


def test_results_do_not_depend_on_the_size_of_a_chunk_nor_on_the_order(tmp_path: Path) -> None:
    folders = write_run(str(tmp_path))
    model = load_gpt(folders["pretrain"])
    small, large = material(folders, chunk_windows=1, chunk_items=2), material(folders)
    backwards = {c: small.rows(model, c) for c in reversed(small.chunks())}
    assert small.results(backwards) == evaluate(large, model)


def test_a_uniform_model_answers_at_chance_and_pays_log2_of_the_vocabulary(tmp_path: Path) -> None:
    made = material(write_run(str(tmp_path), items=8))
    size = made.tokenizer.vocab_size
    found = evaluate(made, uniform_gpt(vocab_size=size))
    for text, e in zip(found["text"]["sources"].values(), made.excerpts, strict=True):
        assert text["bits_per_byte"] == pytest.approx(math.log2(size) * (len(e.tokens) - 1) / len(e.data), rel=1e-6)
    # The choices are one token and four bytes each, so all scores are equal and the first one wins: right in 1 of 4.
    for shots in ("0", "2"):
        task = found["tasks"]["choice"][shots]
        assert task["sum"]["rate"] == task["per_byte"]["rate"] == task["chance"] == 0.25
        assert task["shots"] == {shots: 8} and task["too_long"] == 0
    assert found["tasks"]["cloze"]["0"]["nats_per_word"] == pytest.approx(math.log(size), rel=1e-6)


def test_the_cap_and_the_limits_are_kept(tmp_path: Path) -> None:
    made = material(write_run(str(tmp_path)), heldout_bytes=256, items=5)
    assert [e.source for e in made.excerpts] == ["chats", "plays"]
    assert all(len(e.data) <= 256 for e in made.excerpts)
    assert {kind: len(items) for kind, items in made.items.items()} == {"choice": 5, "cloze": 5}


def test_no_held_out_text_is_an_error(tmp_path: Path) -> None:
    folders = write_run(str(tmp_path))
    empty = write_stage(str(tmp_path / "other"), "corpus", {})
    with pytest.raises(UserError, match="no held-out text"):
        material({**folders, "corpus": empty})


def test_a_tokenizer_with_more_ids_than_the_model_is_an_error(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(write_run(str(tmp_path))["tokens"])
    check_match(random_gpt(vocab_size=tokenizer.vocab_size), tokenizer, "pretrain")
    with pytest.raises(UserError, match="knows 260 token ids"):
        check_match(random_gpt(vocab_size=260), tokenizer, "pretrain")


def test_views_of_nothing_of_half_and_of_three_models(tmp_path: Path) -> None:
    run = str(tmp_path)
    stages = ("pretrain", "finetune", "rlhf")
    folders = write_run(run, stages)
    made = material(folders)
    views = {f"evaluate@{s}": StageFolder.open(run, f"evaluate@{s}", "fingerprint") for s in stages}
    first = views["evaluate@pretrain"]
    assert comparison(views) is None and section(first, {}) is None
    first.write_jsonl("scores/text/00000.jsonl", [])
    half = section(first, {})
    assert half is not None and "Half done" in half.lead
    for stage in stages:
        results = {"stage": stage, **evaluate(made, load_gpt(folders[stage]))}
        views[f"evaluate@{stage}"].write_json("results.json", results)
    one, three = section(first, {}), comparison(views)
    assert one is not None and three is not None
    assert "After pretraining" in one.lead and "After RLHF" in three.lead
    assert len(one.headline) == 1 and len({name for name, _ in three.headline}) == 3
    assert max(len(f"{value}: {name}") for name, value in one.headline) <= 35  # a line of 80 columns
    assert three.blocks[0].columns[-2:] == ["rlhf", "rlhf / xz"]  # type: ignore[union-attr]
