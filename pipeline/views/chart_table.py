"""A chart as a table: its numbers, for formats that draw none."""

from pipeline.sections import Cell, Chart, Table

MOST_ROWS = 12  # rows of a chart's table: first, last, and evenly between


def chart_table(chart: Chart) -> Table:
    """A chart's numbers: a row per label of a bar chart; of a line chart, each series' first, last and some between."""
    note = chart.note
    if chart.left_out():
        note = f"{note} Points that the axes cannot show, and that are left out: {chart.left_out()}.".strip()
    if chart.kind == "bar":
        values = {name: dict(chart.drawable(name)) for name in chart.series}
        xs = sorted({x for points in values.values() for x in points})
        bars: list[list[Cell]] = [[label_of(chart, x), *(values[name].get(x) for name in values)] for x in xs]
        return Table(chart.title, [chart.x, *(_column(chart, name) for name in values)], bars, note)
    rows: list[list[Cell]] = []
    for name in chart.series:
        rows += [[name, x, y] for x, y in _sampled(chart.drawable(name), chart.kind)]
    return Table(chart.title, ["series", chart.x, chart.y], rows, note)


def label_of(chart: Chart, x: float) -> str:
    """The label that a bar's x points to."""
    index = round(x)
    return chart.labels[index] if 0 <= index < len(chart.labels) else f"{x:g}"


def _column(chart: Chart, name: str) -> str:
    return chart.y if len(chart.series) == 1 else f"{name}, {chart.y}"


def _sampled(points: list[tuple[float, float]], kind: str) -> list[tuple[float, float]]:
    if kind == "scatter" or len(points) <= MOST_ROWS:
        return points
    last = len(points) - 1
    return [points[round(i * last / (MOST_ROWS - 1))] for i in range(MOST_ROWS)]
