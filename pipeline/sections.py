"""What a stage says about itself: a section made of tables, charts, examples and notes.

Every stage folder's `view.py` returns a `Section`; the report, `inspect` and `watch` draw it.
This file does not know how a section is drawn, nor which stages exist.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pipeline.stage import StageFolder

Cell = str | int | float | None
Point = tuple[float, float]


@dataclass(frozen=True)
class Table:
    """Rows under named columns. None is drawn as a dash; numbers are right-aligned."""

    title: str
    columns: list[str]
    rows: list[list[Cell]]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            assert len(row) == len(self.columns), f"{self.title}: row {row} does not fit columns {self.columns}"


@dataclass(frozen=True)
class Chart:
    """Named series of (x, y) points. Points that are not finite are left out when drawn, and counted.

    kind="line": x is a number on an axis, log where `log_x`; kind="scatter": the same without the line.
    kind="bar": x is an index into `labels`; several series stand side by side in one group.
    """

    title: str
    series: dict[str, list[Point]]
    x: str
    y: str
    kind: Literal["line", "bar", "scatter"] = "line"
    log_x: bool = False
    log_y: bool = False
    note: str = ""
    labels: list[str] = field(default_factory=list)

    def drawable(self, name: str) -> list[Point]:
        """The points of one series that an axis can show: finite, and positive on a log axis."""
        return [point for point in self.series[name] if self._shows(point)]

    def left_out(self) -> int:
        """How many points no axis can show."""
        return sum(len(points) - len(self.drawable(name)) for name, points in self.series.items())

    def _shows(self, point: Point) -> bool:
        x, y = point
        if not (math.isfinite(x) and math.isfinite(y)):
            return False
        return not (self.log_x and x <= 0) and not (self.log_y and y <= 0)


@dataclass(frozen=True)
class Example:
    """One piece of text with its facts, and (e.g. for a near duplicate) the text it is set beside."""

    head: str
    fields: dict[str, str]
    text: str
    partner: str = ""


@dataclass(frozen=True)
class Examples:
    """Several examples under one title."""

    title: str
    items: list[Example]


@dataclass(frozen=True)
class Note:
    """A paragraph of plain text."""

    text: str


Block = Table | Chart | Examples | Note


@dataclass(frozen=True)
class Section:
    """A stage's part of the report. `lead` is one sentence that says what came out.

    `headline` holds the few figures that the front page repeats, as (name, value ready to print).
    """

    stage: str
    title: str
    lead: str
    blocks: list[Block]
    headline: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class StageView:
    """How the report reaches a stage: its name, its folder in the run, its view and its inputs' names."""

    name: str
    folder: str
    section: "Callable[[StageFolder, dict[str, StageFolder]], Section | None]"
    inputs: tuple[str, ...] = ()


Summary = Callable[[dict[str, "StageFolder"]], Section | None]
"""A section over several stages, from all folders by stage name; it stands before the stages' own sections."""
