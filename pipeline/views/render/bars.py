"""A bar chart as SVG: few labels lie as rows with their values, many stand as columns (a histogram)."""

from pipeline.figures import short
from pipeline.sections import Chart
from pipeline.views.chart_table import label_of
from pipeline.views.render import svg
from pipeline.views.render.scales import Scale, fit

MOST_ROWS = 16
TOP, BOTTOM = 30.0, 46.0
BAR, GAP, BETWEEN = 14.0, 2.0, 12.0  # a bar's height, between bars of one group, between groups


def draw(chart: Chart, width: float, height: float, class_: str) -> str:
    """The chart, `width` pixels wide; as columns it is `height` high, as rows as high as it needs."""
    if not any(chart.drawable(name) for name in chart.series):
        words = svg.text("no values yet", width / 2, 40, class_="name", text_anchor="middle")
        return svg.picture(chart.title, "No values yet.", width, 80, [words], class_)
    if len(chart.labels) <= MOST_ROWS:
        return _rows(chart, width, class_)
    return _columns(chart, width, height, class_)


def describe(chart: Chart) -> str:
    """The chart in words, for who cannot see it."""
    words = [f"{chart.y} by {chart.x}."]
    for name in chart.series:
        points = chart.drawable(name)
        if len(chart.labels) <= MOST_ROWS:
            said = ", ".join(f"{label_of(chart, x)} {short(y)}" for x, y in points)
            words.append(f"{name}: {said}.")
        elif points:
            top = max(points, key=lambda point: point[1])
            words.append(f"{name}: highest {short(top[1])} at {label_of(chart, top[0])}.")
    return " ".join(words)


def _values(chart: Chart, start: float, end: float) -> tuple[Scale, float]:
    """The scale of the values and the value that a bar begins at: zero, or the foot of a log axis."""
    values = [y for name in chart.series for _, y in chart.drawable(name)]
    if chart.log_y:
        scale = fit([*values, min(values) / 2], start, end, log=True, pad=0.0)
        return scale, scale.lo
    return fit(values, start, end, log=False, pad=0.0, zero=True), 0.0


def _rows(chart: Chart, width: float, class_: str) -> str:
    names = list(chart.series)
    group = len(names) * (BAR + GAP) - GAP
    left = min(max(svg.width_of(label) for label in chart.labels) + 12, 0.42 * width)
    value_room = max(svg.width_of(short(y)) for name in names for _, y in chart.drawable(name)) + 10
    scale, foot = _values(chart, left, width - value_room)
    top = 26.0
    height = top + len(chart.labels) * (group + BETWEEN)
    body = [svg.text(chart.y, left, 14, class_="name")]
    for index, label in enumerate(chart.labels):
        middle = top + index * (group + BETWEEN) + group / 2
        words = svg.text(svg.clipped(label, left - 10), left - 10, middle + 4, class_="tick strong", text_anchor="end")
        body.append(words)
    for order, name in enumerate(names):
        for x, value in chart.drawable(name):
            y = top + round(x) * (group + BETWEEN) + order * (BAR + GAP)
            start, end = sorted((scale(foot), scale(value)))
            # A bar of no length still shows where it stands.
            body.append(_bar(order, start, y, max(end - start, 1.0), BAR))
            body.append(svg.text(short(value), end + 6, y + BAR - 3, class_="tick"))
    body.append(svg.element("line", class_="axis", x1=scale(foot), x2=scale(foot), y1=top - 6, y2=height - 6))
    return svg.picture(chart.title, describe(chart), width, height, body, class_)


def _columns(chart: Chart, width: float, height: float, class_: str) -> str:
    names = list(chart.series)
    scale, foot = _values(chart, height - BOTTOM, TOP)
    left = max(svg.width_of(short(value)) for value in scale.ticks(5) or [0.0]) + 14
    pitch = (width - left - 8) / len(chart.labels)
    slim = max(pitch * 0.82 / len(names), 1.0)
    body = svg.y_axis(scale, left, width - 8)
    body.append(svg.text(chart.y, 2, 14, class_="name"))
    for order, name in enumerate(names):
        for x, value in chart.drawable(name):
            top, bottom = sorted((scale(value), scale(foot)))
            body.append(_bar(order, left + round(x) * pitch + pitch * 0.09 + order * slim, top, slim, bottom - top))
    every = max(1, -(-int(max(svg.width_of(label) for label in chart.labels) + 14) // max(int(pitch), 1)))
    for index in range(0, len(chart.labels), every):
        x = left + (index + 0.5) * pitch
        body.append(svg.text(chart.labels[index], x, height - BOTTOM + 18, class_="tick", text_anchor="middle"))
    body.append(svg.element("line", class_="axis", x1=left, x2=width - 8, y1=scale(foot), y2=scale(foot)))
    body.append(svg.text(chart.x, (left + width) / 2, height - 9, class_="name", text_anchor="middle"))
    return svg.picture(chart.title, describe(chart), width, height, body, class_)


def _bar(order: int, x: float, y: float, width: float, height: float) -> str:
    return svg.element("rect", class_=f"bar {svg.colour(order)}", x=x, y=y, width=width, height=height, rx=1.5)
