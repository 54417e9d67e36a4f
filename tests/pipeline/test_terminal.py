import io

from rich.console import Console

from pipeline import terminal
from pipeline.sections import Block, Chart, Example, Examples, Note, Section, Table


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


def test_nothing_to_show_is_said() -> None:
    stream = io.StringIO()
    terminal.print_section(None, Console(file=stream))
    assert "nothing to show yet" in stream.getvalue()
