"""Prompts are real, distinct, short, and held out ones never train."""

from pathlib import Path

import pytest

from cluster.errors import UserError
from pipeline.rlhf import prompts
from pipeline.rlhf.config import SamplingConfig
from tests.pipeline.rlhf import crew


def test_held_out_prompts_never_train(tmp_path: Path) -> None:
    crew.write_run(str(tmp_path))
    found = crew.prompts(crew.setup(str(tmp_path)))
    train, heldout = {p.text.casefold() for p in found.train}, {p.text.casefold() for p in found.heldout}
    assert train and heldout and not train & heldout
    assert len(train) == len(found.train)
    assert max(len(p.ids) for p in (*found.train, *found.heldout)) <= 40
    assert [p.number for p in found.train] == list(range(len(found.train)))
    assert prompts.from_json(prompts.to_json(found)) == found


def test_every_prompt_is_drawn_once_in_an_epoch_and_streams_differ_after(tmp_path: Path) -> None:
    crew.write_run(str(tmp_path))
    found = crew.prompts(crew.setup(str(tmp_path)))
    config = SamplingConfig(chunk=4, chunks=2)
    size = len(found.train)
    drawn = [
        (prompt.number, sample, key)
        for iteration in range(2 * size // 8)
        for chunk in prompts.train_chunks(found.train, config, 1, iteration)
        for prompt, sample, key in zip(chunk.prompts, chunk.samples, chunk.keys(9), strict=True)
    ]
    assert len({number for number, sample, _ in drawn if sample == 0}) == size
    assert len({key for _, _, key in drawn}) == len(drawn)
    held = prompts.heldout_chunks(found.heldout, config)
    assert [p for c in held for p in c.prompts] == list(found.heldout)
    assert not {k for c in held for k in c.keys(9)} & {key for _, _, key in drawn}


def test_no_prompt_left_is_refused(tmp_path: Path) -> None:
    crew.write_run(str(tmp_path))
    made = crew.setup(str(tmp_path))
    with pytest.raises(UserError, match="too long"):
        prompts.collect(made.inputs["corpus"], made.inputs["tokens"], SamplingConfig(prompt_tokens=4), 1)
