"""FineWeb's rules at their thresholds, which are dropped as the paper says."""

import pytest

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
