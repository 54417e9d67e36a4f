"""Talk with a run's newest model: pure functions from a dialogue and a line to a reply. Knows no terminal.

A model after finetuning reads the chat layout that it was trained on. One that has only been pretrained knows chats as
plain text, lines that begin with a speaker's letter, and is asked so.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from cluster.errors import RunDirError
from models.chat import Turn, prompt
from models.generate import generate
from models.gpt import GPT
from models.tokenizer import Tokenizer
from pipeline.evaluate.weights import check_match, load_gpt
from pipeline.rows import render
from pipeline.stage import StageFolder
from pipeline.tokens.pieces import load_tokenizer

NEWEST_FIRST = ("rlhf", "finetune", "pretrain")
FORGET = "/new"  # a line that begins a new dialogue


@dataclass(frozen=True)
class Chat:
    """A model and what was said so far."""

    model: GPT
    tokenizer: Tokenizer
    stage: str
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True)
class Style:
    """How replies are drawn. Temperature 0 takes the likeliest token each time."""

    max_new: int = 64
    temperature: float = 0.7
    top_k: int = 40
    seed: int = 0


@dataclass(frozen=True)
class Reply:
    """What the model says; `forgotten` counts the oldest turns that its context could not hold."""

    text: str
    forgotten: int


def newest(run: str) -> str:
    """The last of pretrain, finetune and rlhf that has ended. Raises RunDirError where none has."""
    for stage in NEWEST_FIRST:
        if StageFolder.open(run, stage).manifest() is not None:
            return stage
    raise RunDirError(
        "RUN", run, "it holds no trained model yet", f"Let pretrain end first: firstlight run --out {run}"
    )


def open_chat(run: str) -> Chat:
    """A new dialogue with the run's newest model. Raises RunDirError, UserError, CorruptPiece."""
    stage = newest(run)
    model, tokenizer = load_gpt(StageFolder.open(run, stage)), load_tokenizer(StageFolder.open(run, "tokens"))
    check_match(model, tokenizer, stage)
    return Chat(model, tokenizer, stage)


def reply(chat: Chat, line: str, style: Style) -> tuple[Chat, Reply]:
    """The model's answer to a line, and the dialogue with both in it. The same seed gives the same dialogue."""
    turns = (*chat.turns, Turn("user", line))
    new = min(style.max_new, chat.model.config.context // 2)
    ids, forgotten = _prompt(chat, turns, chat.model.config.context - new)
    (sample,) = generate(
        chat.model,
        [ids],
        max_new=new,
        temperature=style.temperature,
        stop_id=chat.tokenizer.end_id,
        pad_id=chat.tokenizer.pad_id,
        keys=[(style.seed, len(turns))],
        top_k=style.top_k,
    )
    text = chat.tokenizer.decode(sample.tokens)
    if chat.stage == "pretrain":
        text = text.partition("\n")[0]  # the next line would be the other speaker's
    text = text.strip()
    return replace(chat, turns=(*turns, Turn("assistant", text))), Reply(text, forgotten)


def talk(chat: Chat, lines: Iterable[str], style: Style) -> Iterator[Reply]:
    """A reply to each line; an empty line gets none, and `/new` begins a new dialogue."""
    for line in lines:
        if line.strip() == FORGET:
            chat = replace(chat, turns=())
        elif line.strip():
            chat, answer = reply(chat, line.strip(), style)
            yield answer


def _prompt(chat: Chat, turns: tuple[Turn, ...], room: int) -> tuple[list[int], int]:
    """Ids of the turns that fit, open for the reply, and the number of turns left out; the oldest pairs go first."""
    for first in range(0, len(turns), 2):
        ids = _ids(chat, turns[first:])
        if len(ids) <= room:
            return ids, first
    return ids[-room:], len(turns) - 1  # the last line alone is too long: its end is read


def _ids(chat: Chat, turns: tuple[Turn, ...]) -> list[int]:
    if chat.stage != "pretrain":
        return prompt(chat.tokenizer, turns)
    said = render([{"who": int(t.role == "assistant"), "text": t.text} for t in turns])
    return [chat.tokenizer.end_id, *chat.tokenizer.encode(f"{said}\nB:")]
