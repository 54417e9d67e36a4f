"""Our own rules: one text that breaks each, and texts that break none."""

import pytest

from pipeline import rows
from pipeline.corpus.rules import basic
from pipeline.corpus.rules.config import BasicConfig
from pipeline.rows import Row, Turn

GOOD = "It was a bright cold day in April, and the clocks were striking thirteen; he slipped quickly through the doors."


def row(text: str, turns: list[Turn] | None = None) -> Row:
    return Row(id="1", source="s", text=text, meta=rows.pack_meta(turns=turns) if turns else "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("word", "too_few_words"),
        ("Это просто вопрос без ответа, скажи мне", "foreign_script"),
        ("== -- == -- a b c d == -- == ;; ;; !!", "few_letters"),
        ("call 0123 4567 8901 abcdefgh or later on", "mostly_digits"),
        ("a " + "x" * 60 + " " + "y" * 60 + " " + "z" * 60, "long_words"),
        ("spam " * 12 + GOOD, "one_word"),
        ("\n".join([*GOOD.split(","), *["click here to read more of this story"] * 8]), "repeated_lines"),
        ("\n".join(f"    0x{i:02x}: 'letter', # sign {chr(97 + i % 26) * 5}" for i in range(40)), "table"),
    ],
)
def test_each_rule_names_its_reason(text: str, reason: str) -> None:
    found = basic.broken(row(text), BasicConfig())
    assert found is not None and found[0] == reason


def test_a_conversation_needs_two_speakers() -> None:
    alone = [Turn(who=0, text="hello is anybody there"), Turn(who=0, text="no?")]
    assert basic.broken(row(rows.render(alone), alone), BasicConfig()) == ("one_speaker", 1.0)
    both = [Turn(who=0, text="hello is anybody there"), Turn(who=1, text="yes")]
    assert basic.broken(row(rows.render(both), both), BasicConfig()) is None


def test_good_text_breaks_no_rule() -> None:
    code = "import os\n\n\ndef walk(top):\n    for name in os.listdir(top):\n        if name:\n            yield name\n"
    for text in (GOOD, GOOD * 30, code, "Où est l'école? À côté de l'église, près du château."):
        assert basic.broken(row(text), BasicConfig()) is None


def test_every_rule_has_a_threshold_and_every_threshold_a_rule() -> None:
    assert {field for _, field, _ in basic.RULES} == set(BasicConfig.model_fields)
