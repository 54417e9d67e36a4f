"""Our own rules: one text that breaks each, and texts that break none."""

import operator
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import rows
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.readers.config import Source
from pipeline.corpus.rules import basic
from pipeline.corpus.rules.config import BasicConfig, RulesConfig
from pipeline.rows import Row, Turn

GOOD = "It was a bright cold day in April, and the clocks were striking thirteen; he slipped quickly through the doors."


LOOSE = basic.settled(BasicConfig(), packaged=True)
SIGNS = {"<": operator.lt, ">": operator.gt}


def row(text: str, turns: list[Turn] | None = None) -> Row:
    return Row(id="1", source="s", text=text, meta=rows.pack_meta(turns=turns) if turns else "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("word", "basic.min_words < 2"),
        ("Это просто вопрос без ответа, скажи мне", "basic.max_foreign > 0.3"),
        ("== -- == -- a b c d == -- == ;; ;; !!", "basic.min_letters < 0.4"),
        ("call 0123 4567 8901 abcdefgh or later on", "basic.max_digits > 0.25"),
        ("a " + "x" * 60 + " " + "y" * 60 + " " + "z" * 60, "basic.max_word_length > 20"),
        ("spam " * 12 + GOOD, "basic.max_word_share > 0.25"),
        (
            "\n".join([*GOOD.split(","), *["click here to read more of this story"] * 8]),
            "basic.max_repeated_lines > 0.5",
        ),
        (
            "\n".join(f"    0x{i:02x}: 'letter', # sign {chr(97 + i % 26) * 5}" for i in range(40)),
            "basic.max_table > 0.3",
        ),
    ],
)
def test_each_rule_names_its_reason(text: str, reason: str) -> None:
    found = basic.broken(row(text), LOOSE)
    assert found is not None and found[0] == reason


def test_a_conversation_needs_two_speakers() -> None:
    alone = [Turn(who=0, text="hello is anybody there"), Turn(who=0, text="no?")]
    assert basic.broken(row(rows.render(alone), alone), LOOSE) == ("basic.min_speakers < 2", 1.0)
    both = [Turn(who=0, text="hello is anybody there"), Turn(who=1, text="yes")]
    assert basic.broken(row(rows.render(both), both), LOOSE) is None


def test_good_text_breaks_no_rule() -> None:
    code = "import os\n\n\ndef walk(top):\n    for name in os.listdir(top):\n        if name:\n            yield name\n"
    for text in (GOOD, GOOD * 30, code, "Où est l'école? À côté de l'église, près du château."):
        assert basic.broken(row(text), LOOSE) is None


FOREIGN = (
    "Это просто вопрос без ответа, скажи мне, пожалуйста.",
    "她们在公园里散步，公园很大，她们很高兴，天气很好，大家都喜欢在这里看书和聊天。",
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
    "ภาษาไทยเขียนโดยไม่เว้นวรรคระหว่างคำและอ่านจากซ้ายไปขวา",
    "यह हिन्दी में लिखा हुआ एक साधारण वाक्य है, और कुछ नहीं।",
)


@pytest.mark.parametrize("text", FOREIGN)
def test_the_users_own_files_may_be_in_any_script(text: str) -> None:
    own, packaged = Source(name="s", kind="text", path="x"), Source(name="s", kind="questions")

    def reason(source: Source, **settings: float) -> str | None:
        config = CorpusConfig(rules=RulesConfig(basic=BasicConfig(**settings)))  # type: ignore[arg-type]
        broken = basic.make(config, lambda name: b"")(row(text), source).broken
        return broken[0] if broken else None

    assert reason(own) is None
    assert reason(packaged) == "basic.max_foreign > 0.3"
    assert reason(own, max_foreign=0.5) == "basic.max_foreign > 0.5"
    assert reason(packaged, max_foreign=1.0) is None


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.text(), st.text("ab1 \n,ñж京", max_size=200)), st.lists(st.text("ab \n"), max_size=3))
def test_any_text_is_judged_and_the_reason_is_true(text: str, said: list[str]) -> None:
    turns = [Turn(who=i, text=one) for i, one in enumerate(said)]
    judged = row(rows.render(turns) if turns else text, turns)
    found = basic.broken(judged, LOOSE)
    if found is None:
        assert judged["text"].strip()
        return
    parts = re.fullmatch(r"basic\.(\w+) ([<>]) (\S+)", found[0])
    assert parts and SIGNS[parts[2]](found[1], float(parts[3])) and float(parts[3]) == getattr(LOOSE, parts[1])
    off = LOOSE.model_copy(update={parts[1]: float("inf") if parts[2] == ">" else 0})
    following = basic.broken(judged, off)
    assert following is None or not following[0].startswith(f"basic.{parts[1]} ")


def test_every_rule_has_a_threshold_and_every_threshold_a_rule() -> None:
    assert {rule.field for rule in basic.RULES} == set(BasicConfig.model_fields)
