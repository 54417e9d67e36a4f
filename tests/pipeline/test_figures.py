import math

import pytest

from pipeline import figures
from pipeline.sections import Table


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0"), (7.25, "7.25"), (999.6, "1k"), (1234567, "1.23M"), (0.0003, "3e-4"), (-2.5e9, "-2.5G"), (2e19, "2e19")],
)
def test_short(value: float, said: str) -> None:
    assert figures.short(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        ("a", "a"),
        (12345, "12,345"),
        (0.5, "0.5000"),
        (2.31234, "2.312"),
        (54321.7, "54,322"),
        (3e-5, "3e-5"),
    ],
)
def test_cell(value: str | float | None, said: str) -> None:
    assert figures.cell(value) == said


def test_numbers_that_are_not_finite_are_said_as_they_are() -> None:
    assert figures.cell(math.nan) == "nan"
    assert figures.short(math.inf) == "inf"


def test_units() -> None:
    assert [figures.seconds(s) for s in (0.4, 42, 95, 7290)] == ["0.4 s", "42 s", "1 min 35 s", "2 h 02 min"]
    assert figures.size(6 * 2**30) == "6 GiB"
    assert figures.flops(2.4e13) == "24 TFLOP"
    assert figures.ratio(2.0, 3.0) == "1.50"
    assert figures.ratio(0.0, 3.0) == figures.ratio(None, 3.0) == figures.ratio(2.0, None) == "–"


def test_columns_of_numbers_stand_at_the_right() -> None:
    table = Table("t", ["name", "count", "share", "absent"], [["a", 1, "12 %", None], ["b", 2, "–", None]])
    assert figures.numeric(table) == [False, True, True, True]


def test_control_characters_are_replaced() -> None:
    assert figures.clean("a\x1b[31m\tb\n\x00") == "a\ufffd[31m\tb\n\ufffd"
