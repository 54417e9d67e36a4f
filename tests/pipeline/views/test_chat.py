"""The chat loop on a tiny random model: which model, which prompt, what is kept."""

from pathlib import Path

import pytest

from cluster.errors import RunDirError
from models.chat import Turn, prompt
from models.tokenizer import Tokenizer
from pipeline.views import chat
from pipeline.views.chat import Chat, Style
from tests.pipeline.evaluate.tiny import random_gpt, trained, write_stage

GREEDY = Style(max_new=8, temperature=0.0)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return trained()


def a_chat(tokenizer: Tokenizer, stage: str = "finetune", context: int = 64) -> Chat:
    return Chat(random_gpt(context, vocab_size=tokenizer.vocab_size), tokenizer, stage)


def test_the_newest_stage_that_ended_is_taken(tmp_path: Path, tokenizer: Tokenizer) -> None:
    run = str(tmp_path)
    with pytest.raises(RunDirError, match="no trained model"):
        chat.newest(run)
    write_stage(run, "tokens", {"tokenizer.json": tokenizer.to_json().encode()})
    write_stage(run, "pretrain", model=random_gpt(vocab_size=tokenizer.vocab_size))
    assert chat.open_chat(run).stage == "pretrain"
    write_stage(run, "rlhf", model=random_gpt(vocab_size=tokenizer.vocab_size), ended=False)
    assert chat.newest(run) == "pretrain"
    write_stage(run, "rlhf", model=random_gpt(vocab_size=tokenizer.vocab_size))
    assert chat.newest(run) == "rlhf"


def test_a_dialogue_keeps_both_sides_and_repeats(tokenizer: Tokenizer) -> None:
    first, answer = chat.reply(a_chat(tokenizer), "hello", GREEDY)
    assert first.turns == (Turn("user", "hello"), Turn("assistant", answer.text))
    style = Style(max_new=8, temperature=1.0, seed=3)
    lines = ["hello", "", "and then?"]
    once = [r.text for r in chat.talk(a_chat(tokenizer), lines, style)]
    assert len(once) == 2 and once == [r.text for r in chat.talk(a_chat(tokenizer), lines, style)]
    again = [r.text for r in chat.talk(a_chat(tokenizer), ["hello", "/new", "hello"], style)]
    assert again[0] == again[1] == once[0]


def test_the_oldest_turns_are_forgotten_and_counted(tokenizer: Tokenizer) -> None:
    turns = tuple(Turn("user" if i % 2 == 0 else "assistant", "0123456789") for i in range(5))
    assert len(prompt(tokenizer, turns)) > 40
    ids, forgotten = chat._prompt(a_chat(tokenizer), turns, 40)
    assert forgotten == 2 and ids == prompt(tokenizer, turns[2:])
    ids, forgotten = chat._prompt(a_chat(tokenizer), turns, 6)
    assert forgotten == 4 and ids == prompt(tokenizer, turns[4:])[-6:]


def test_a_pretrained_model_is_asked_in_plain_text(tokenizer: Tokenizer) -> None:
    ids = chat._ids(a_chat(tokenizer, "pretrain"), (Turn("user", "hi"), Turn("assistant", "yes"), Turn("user", "why")))
    assert tokenizer.decode(ids, specials=True) == "<|end|>A: hi\nB: yes\nA: why\nB:"
