"""Conversations as ids: <|user|>text<|assistant|>text<|end|>, turn after turn. Knows no truncation and no packing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from models.tokenizer import Tokenizer

# The same layout for transformers' apply_chat_template.
TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ '<|end|>' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


@dataclass(frozen=True)
class Turn:
    """What one side says."""

    role: Literal["user", "assistant"]
    text: str


def render(tokenizer: Tokenizer, turns: Sequence[Turn]) -> tuple[list[int], list[bool]]:
    """(ids, mask). The mask is True on what the assistant writes: its text and the <|end|> that closes each turn."""
    ids: list[int] = []
    mask: list[bool] = []
    for turn in turns:
        spoken = tokenizer.encode(turn.text)
        if turn.role == "assistant":
            ids += [tokenizer.assistant_id, *spoken, tokenizer.end_id]
            mask += [False] + [True] * (len(spoken) + 1)
        else:
            ids += [tokenizer.user_id, *spoken]
            mask += [False] * (len(spoken) + 1)
    return ids, mask


def prompt(tokenizer: Tokenizer, turns: Sequence[Turn]) -> list[int]:
    """Ids of the turns, open for the assistant's next one."""
    return [*render(tokenizer, turns)[0], tokenizer.assistant_id]
