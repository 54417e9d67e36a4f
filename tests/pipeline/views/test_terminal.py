import io
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from pipeline import figures
from pipeline.sections import Block, Cell, Chart, Example, Examples, Note, Section, Table
from pipeline.views import terminal


def test_a_section_fits_eighty_columns_and_cannot_drive_the_terminal() -> None:
    blocks: list[Block] = [
        Table("Funnel", ["source", "kept"], [["plays", 12]]),
        Chart("Loss", {"loss": [(1.0, 2.0)]}, "step", "nats"),
        Examples("Dropped", [Example("plays/1", {"reason": "short"}, "\x1b[2J[red]word[/red] " * 40, "its partner")]),
        Note("All of it. " * 20),
    ]
    stream = io.StringIO()
    terminal.print_section(Section("corpus", "Text", "One line.", blocks), Console(file=stream, width=80, markup=False))
    shown = stream.getvalue()
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "\x1b" not in shown
    assert "[red]word[/red]" in shown
    assert "more characters" in shown


STEPS = ("read", "clean", "filter", "exact_dup", "near_dup", "split", "substring", "decontaminate")


def drawn(table: Table, width: int = 80) -> list[str]:
    stream = io.StringIO()
    terminal.print_table(table, Console(file=stream, width=width, markup=False))
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines), default=0) <= width
    return [line.rstrip() for line in lines]


def test_the_funnel_at_eighty_columns_keeps_its_numbers_and_names_whole() -> None:
    columns = ["source", "found", *STEPS, "held out", "MB read", "MB kept"]
    rows: list[list[Cell]] = [[name, *(100_862 + i for i in range(10)), 12.34, 1234.5] for name in ("plays", "all")]
    lines = drawn(Table("Documents by step", columns, rows, "A note."))
    said = [line.split() for line in lines]
    assert [words[1:] for words in said if words[:1] == ["plays"]] == [
        [f"{100_862 + i:,}" for i in range(7)],
        [*(f"{100_862 + i:,}" for i in range(7, 10)), "12.34", "1,234"],
    ]
    assert set(STEPS) <= {word for words in said for word in words}
    assert lines.index("") > 3 and said[-1] == ["A", "note."]


def test_a_name_is_broken_after_an_underscore_where_its_numbers_are_narrow() -> None:
    lines = drawn(Table("", ["a", *(f"name_of_{i}" for i in range(9))], [["x", *range(9)]]))
    assert [line.split() for line in lines] == [
        ["name_"] * 9,
        ["a", *(f"of_{i}" for i in range(9))],
        ["x", *map(str, range(9))],
    ]


NUMBERS = st.one_of(st.integers(-(10**9), 10**9), st.floats(allow_nan=False, allow_infinity=False), st.none())


@settings(max_examples=60, deadline=None)
@given(st.lists(NUMBERS, min_size=2, max_size=20), st.text("ab_ é京", max_size=30), st.integers(40, 120))
def test_no_number_is_ever_broken(numbers: list[Cell], name: str, width: int) -> None:
    table = Table("", ["label", *(f"{name}{i}" for i in range(len(numbers)))], [["row " * 9, *numbers]])
    words = [word for line in drawn(table, width) for word in line.split()]
    found, asked = Counter(words), Counter(map(figures.cell, numbers))
    assert found & asked == asked


def test_nothing_to_show_is_said() -> None:
    stream = io.StringIO()
    terminal.print_section(None, Console(file=stream))
    assert "nothing to show yet" in stream.getvalue()
