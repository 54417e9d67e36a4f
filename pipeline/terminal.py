"""Sections and tables on a terminal, at the width that it has and 80 columns elsewhere. Knows no stage."""

import sys

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from pipeline import figures
from pipeline.chart_table import chart_table
from pipeline.sections import Chart, Example, Examples, Section, Table

PLAIN_WIDTH = 80
CLIP = 400  # characters of an example


def console() -> Console:
    """Standard output without markup or guessed colours, so that text from a corpus is printed as it is."""
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def print_section(section: Section | None, to: Console | None = None) -> None:
    """Print a stage's section: charts come as tables."""
    out = to or console()
    if section is None:
        out.print("nothing to show yet")
        return
    out.print(section.title, style="bold")
    out.print(_text(section.lead))
    for block in section.blocks:
        out.print()
        if isinstance(block, Table | Chart):
            print_table(block if isinstance(block, Table) else chart_table(block), out)
        elif isinstance(block, Examples):
            out.print(block.title, style="bold")
            for item in block.items:
                _print_example(item, out)
            if not block.items:
                out.print("none", style="dim")
        else:
            out.print(_text(block.text))


def print_table(table: Table, to: Console | None = None) -> None:
    """Print a table: its title, columns under a rule, numbers at the right, its note."""
    out = to or console()
    if table.title:
        out.print(table.title, style="bold")
    drawn = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name, right in zip(table.columns, figures.numeric(table), strict=True):
        drawn.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*(_text(figures.cell(value)) for value in row))
    out.print(drawn if table.rows else "nothing to show")
    if table.note:
        out.print(table.note, style="dim")


def _print_example(item: Example, out: Console) -> None:
    facts = "  ".join(f"{name} {value}" for name, value in item.fields.items())
    out.print()
    out.print(_text(item.head), style="bold")
    if facts:
        out.print(_text(facts), style="dim")
    out.print(_text(_clip(item.text)))
    if item.partner:
        out.print("beside its partner", style="dim")
        out.print(_text(_clip(item.partner)))


def _text(value: str) -> Text:
    """Text without the control characters that could drive a terminal."""
    return Text(figures.clean(value))


def _clip(text: str) -> str:
    return text if len(text) <= CLIP else f"{text[:CLIP]}… ({len(text) - CLIP:,} more characters)"
