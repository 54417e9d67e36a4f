"""FineWeb's rules at their thresholds, which are dropped as the paper says."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.rules import fineweb
from pipeline.corpus.rules.config import FineWebConfig
from pipeline.corpus.rules.seen import Seen

LINE = "A line of this length number {} is not a short one"


def lines(count: int, ended: int) -> str:
    return "\n".join(LINE.format(i) + ("." if i < ended else "") for i in range(count))


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        (lines(25, 3), ("fineweb.min_ended_lines <= 0.12", 0.12)),
        (lines(25, 4), None),
        (lines(25, 4).replace(".", "。"), None),
        (
            lines(33, 33) + "".join(f"\nshort {i}." for i in range(67)),
            ("fineweb.max_short_lines >= 0.67", 0.67),
        ),
        (lines(34, 34) + "".join(f"\nshort {i}." for i in range(66)), None),
        ("\n".join(["x" * 49 + "."] * 2 + ["y" * 399 + "."]), ("fineweb.max_repeated_characters >= 0.1", 0.1)),
        ("\n".join(["x" * 49 + "."] * 2 + ["y" * 401 + "."]), None),
    ],
)
def test_the_threshold_itself_is_dropped(text: str, broken: tuple[str, float] | None) -> None:
    assert fineweb.broken(Seen(text), FineWebConfig()) == broken


def test_newlines_are_the_released_codes_rule_and_off() -> None:
    text = "\n\n\n\n\n\n".join(LINE.format(i) + "." for i in range(9))
    assert fineweb.broken(Seen(text), FineWebConfig()) is None
    found = fineweb.broken(Seen(text), FineWebConfig(max_newlines=0.3))
    assert found is not None and found[0] == "fineweb.max_newlines >= 0.3"


def test_every_threshold_has_a_rule_and_text_without_lines_is_dropped() -> None:
    assert {rule.field for rule in fineweb.RULES} == set(FineWebConfig.model_fields) - {"short_line"}
    for text in ("", "\n\n", " \n\t"):
        assert fineweb.broken(Seen(text), FineWebConfig()) == ("fineweb.min_ended_lines <= 0.12", 0.0)


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(st.text(), st.lists(st.sampled_from([LINE, LINE + ".", "short.", "", " \t"]), max_size=40).map("\n".join))
)
def test_any_text_is_judged_and_measures_are_shares(text: str) -> None:
    config, m = FineWebConfig(max_newlines=0.3), fineweb.Measured(Seen(text), FineWebConfig())
    for measure in (fineweb.ended_lines, fineweb.short_lines, fineweb.repeated_characters):
        assert 0 <= measure(m) <= 1
    found = fineweb.broken(Seen(text), config)
    if found is None:
        assert any(line.strip().endswith(fineweb.ENDS) for line in text.split("\n"))
        assert fineweb.broken(Seen(text + "\n \n"), FineWebConfig(max_newlines=1e9)) is None  # blank lines are no lines
    else:
        parts = re.fullmatch(r"fineweb\.(\w+) ([<>]=) (\S+)", found[0])
        assert parts and (found[1] - float(parts[3])) * (1 if parts[2] == ">=" else -1) >= -1e-6
        assert float(parts[3]) == getattr(config, parts[1])
