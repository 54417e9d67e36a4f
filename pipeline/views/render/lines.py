"""A line or scatter chart as SVG: several series, log axes, a label at the end of each line."""

from pipeline.figures import short
from pipeline.sections import Chart, Point
from pipeline.views.render import svg
from pipeline.views.render.scales import Scale, fit

MOST_POINTS = 600  # per series: more do not show at these widths
DOTS_UP_TO = 24  # short series get a dot a point
TOP, BOTTOM = 30.0, 46.0


def draw(chart: Chart, width: float, height: float, class_: str) -> str:
    """The chart, `width` by `height` pixels at scale 1. A chart without a point that can be shown says so."""
    shown = {name: points for name in chart.series if (points := chart.drawable(name))}
    if not shown:
        words = svg.text("no points yet", width / 2, 40, class_="name", text_anchor="middle")
        return svg.picture(chart.title, "No points yet.", width, 80, [words], class_)
    names = list(chart.series)
    labelled = labels_fit(chart, width)
    room = max(svg.width_of(name) for name in shown) + 14 if labelled else 14.0
    x, y = _scales(chart, shown, width - room, height)
    body = svg.y_axis(y, x.start, x.end)
    body += svg.x_axis(x, y.start, chart.x)
    body.append(svg.text(chart.y, 2, 14, class_="name"))
    for name, points in shown.items():
        body += _series(points, chart.kind, x, y, svg.colour(names.index(name)))
    if labelled:
        body += _end_labels(shown, names, x, y)
    return svg.picture(chart.title, describe(chart), width, height, body, class_)


def labels_fit(chart: Chart, width: float) -> bool:
    """Whether each series can carry its name at its line's end; else the page shows a legend."""
    names = [name for name in chart.series if chart.drawable(name)]
    if chart.kind == "scatter" or not 2 <= len(names) <= svg.COLOURS:
        return False
    return max(svg.width_of(name) for name in names) <= 0.28 * width


def describe(chart: Chart) -> str:
    """The chart in words, for who cannot see it."""
    scale = "".join(f", {axis} logarithmic" for axis, log in (("x", chart.log_x), ("y", chart.log_y)) if log)
    words = [f"{chart.y} against {chart.x}{scale}."]
    for name in chart.series:
        points = chart.drawable(name)
        if not points:
            words.append(f"{name}: no points.")
            continue
        (x0, y0), (x1, y1) = points[0], points[-1]
        low, high = min(y for _, y in points), max(y for _, y in points)
        words.append(
            f"{name}: {len(points)} points, from {short(y0)} at {short(x0)} to {short(y1)} at {short(x1)}, "
            f"lowest {short(low)}, highest {short(high)}."
        )
    return " ".join(words)


def thinned(points: list[Point], most: int) -> list[Point]:
    """At most about `most` points: of each run of neighbours the lowest and the highest, so no spike is lost."""
    if len(points) <= most:
        return points
    run = -(-2 * len(points) // most)
    kept = []
    for start in range(0, len(points), run):
        part = range(start, min(start + run, len(points)))
        low, high = min(part, key=lambda i: points[i][1]), max(part, key=lambda i: points[i][1])
        kept += [points[i] for i in sorted({low, high})]
    return kept


def _scales(chart: Chart, shown: dict[str, list[Point]], right: float, height: float) -> tuple[Scale, Scale]:
    xs = [x for points in shown.values() for x, _ in points]
    ys = [y for points in shown.values() for _, y in points]
    y = fit(ys, height - BOTTOM, TOP, log=chart.log_y, pad=0.06)
    left = max(svg.width_of(short(value)) for value in y.ticks(5) or [0.0]) + 14
    near_zero = not chart.log_x and 0 < min(xs) < 0.1 * max(xs)  # counts that begin at the first step
    return fit(xs, left, right, log=chart.log_x, pad=0.04 if chart.kind == "scatter" else 0.0, zero=near_zero), y


def _series(points: list[Point], kind: str, x: Scale, y: Scale, colour: str) -> list[str]:
    parts = []
    places = [(x(px), y(py)) for px, py in thinned(points, MOST_POINTS)]
    if kind == "line" and len(places) > 1:
        path = "M" + "L".join(f"{px:.1f},{py:.1f}" for px, py in places)
        parts.append(svg.element("path", class_=f"line {colour}", d=path))
    if kind == "scatter" or len(places) <= DOTS_UP_TO:
        size = 4.0 if kind == "scatter" else 2.5
        parts += [svg.element("circle", class_=f"point {colour}", cx=px, cy=py, r=size) for px, py in places]
    return parts


def _end_labels(shown: dict[str, list[Point]], names: list[str], x: Scale, y: Scale) -> list[str]:
    ends = [(x(points[-1][0]), y(points[-1][1])) for points in shown.values()]
    placed = svg.spread([py for _, py in ends], TOP, y.start, svg.LINE)
    parts = []
    for name, (end_x, end_y), at in zip(shown, ends, placed, strict=True):
        colour = svg.colour(names.index(name))
        if x.end - end_x > 12 or abs(at - end_y) > 8:  # a thin leader where the label is not beside its end
            leader = f"M{end_x + 3:.1f},{end_y:.1f}L{x.end + 6:.1f},{at:.1f}"
            parts.append(svg.element("path", class_=f"leader {colour}", d=leader))
        parts.append(svg.text(name, x.end + 9, at + 4, class_=f"label {colour}"))
    return parts
