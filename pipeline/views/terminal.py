"""Sections and tables on a terminal, at the width that it has and 80 columns elsewhere. Knows no stage."""

import re
import sys
from itertools import takewhile
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from pipeline import figures
from pipeline.sections import Chart, Example, Examples, Section, Table
from pipeline.views.chart_table import chart_table

PLAIN_WIDTH = 80
CLIP = 400  # characters of an example
GAP = 2  # blanks between columns
LEAST_TEXT = 20  # a longer word may be broken; a number, or a part of a column's name, never is


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
    """Print a table: its title, columns under a rule, numbers at the right, its note.

    Columns that find no room follow below, beside the first ones again.
    """
    out = to or console()
    if table.title:
        out.print(table.title, style="bold")
    columns = [
        _Column(name, right, [figures.clean(figures.cell(row[i])) for row in table.rows])
        for i, (name, right) in enumerate(zip(table.columns, figures.numeric(table), strict=True))
    ]
    labels = list(takewhile(lambda column: not column.right, columns[:-1]))
    rest = columns[len(labels) :]
    if not table.rows:
        out.print("nothing to show")
        rest = []
    while rest:
        part = [*labels, rest.pop(0)]
        while rest and _room(out, [*part, rest[0]]) >= 0:
            part.append(rest.pop(0))
        out.print(_drawn(part, out))
        if rest:
            out.print()
    if table.note:
        out.print(table.note, style="dim")


class _Column:
    """A column: the width that breaks nothing which must not be broken, and the width of the whole."""

    def __init__(self, name: str, right: bool, cells: list[str]) -> None:
        self.parts, self.right, self.cells = re.findall(r"[^\s_]*(?:_+|\s+|$)", name), right, cells
        words = cells if right else [word[:LEAST_TEXT] for cell in cells for word in cell.split()]
        self.width = max(cell_len(text) for text in (*words, *(part.rstrip() for part in self.parts)))
        self.whole = max(cell_len(line) for cell in (name, *cells) for line in cell.split("\n"))

    def head(self, width: int) -> str:
        """Its name, on lines that end at a blank or an underscore."""
        lines = [""]
        for part in self.parts:
            lines += [""] if lines[-1] and cell_len((lines[-1] + part).rstrip()) > width else []
            lines[-1] += part
        return "\n".join(line.rstrip() for line in lines)


def _room(out: Console, columns: list[_Column]) -> int:
    return out.width - sum(column.width + GAP for column in columns)


def _drawn(columns: list[_Column], out: Console) -> RichTable:
    widths = [column.width for column in columns]
    for _ in range(_room(out, columns)):
        tight = [i for i, column in enumerate(columns) if widths[i] < column.whole]
        if tight:
            widths[min(tight, key=widths.__getitem__)] += 1
    drawn = RichTable(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    for column, width in zip(columns, widths, strict=True):
        side: Literal["left", "right"] = "right" if column.right else "left"
        drawn.add_column(Text(column.head(width)), justify=side, width=width, overflow="fold")
    for row in zip(*(column.cells for column in columns), strict=True):
        drawn.add_row(*map(Text, row))
    return drawn


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
