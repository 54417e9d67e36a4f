"""SVG as text: elements, a chart's frame, where labels go. Colours come from the page's style sheet by class."""

from collections.abc import Sequence
from html import escape

from pipeline.figures import short
from pipeline.views.render.scales import Scale

COLOURS = 6  # classes c0..c5 in style.css; a seventh series repeats the first with a dashed line
FONT = 12.0
LINE = 15.0  # least distance between two labels' baselines


def element(name: str, content: str = "", **attributes: object) -> str:
    """One element. `content` is markup already; attributes are escaped; `class_` and `stroke_width` are spelt so."""
    parts = "".join(f' {_attribute(key)}="{_value(value)}"' for key, value in attributes.items())
    return f"<{name}{parts}>{content}</{name}>" if content else f"<{name}{parts}/>"


def text(content: str, x: float, y: float, **attributes: object) -> str:
    """A text element at (x, y), its content escaped."""
    return element("text", escape(content), x=x, y=y, **attributes)


def picture(title: str, described: str, width: float, height: float, body: Sequence[str], class_: str) -> str:
    """A whole picture with its title and description for screen readers."""
    head = element("title", escape(title)) + element("desc", escape(described))
    box = f"0 0 {width:g} {height:g}"
    return element("svg", head + "".join(body), class_=f"chart {class_}", viewBox=box, role="img", aria_label=title)


def colour(index: int) -> str:
    """The class of the index-th series."""
    return f"c{index % COLOURS}" + (" again" if index >= COLOURS else "")


def width_of(label: str) -> float:
    """About how wide a label is, in pixels, at the charts' font size."""
    return len(label) * FONT * 0.56


def clipped(label: str, room: float) -> str:
    """The label, cut with an ellipsis where it needs more than `room` pixels."""
    most = max(2, int(room / (FONT * 0.56)))
    return label if len(label) <= most else label[: most - 1].rstrip() + "…"


def spread(wanted: Sequence[float], lo: float, hi: float, gap: float) -> list[float]:
    """Move positions a little, so that neighbours are `gap` apart and stay inside [lo, hi] where they fit."""
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], i))
    placed = list(wanted)
    floor = lo
    for index in order:
        placed[index] = max(placed[index], floor)
        floor = placed[index] + gap
    ceiling = hi
    for index in reversed(order):
        placed[index] = min(placed[index], ceiling)
        ceiling = placed[index] - gap
    return placed


def y_axis(scale: Scale, left: float, right: float) -> list[str]:
    """Grid lines with their values at the left."""
    parts = []
    for value in scale.ticks(5):
        y = scale(value)
        parts.append(element("line", class_="grid", x1=left, x2=right, y1=y, y2=y))
        parts.append(text(short(value), left - 8, y + 4, class_="tick", text_anchor="end"))
    return parts


def x_axis(scale: Scale, y: float, name: str) -> list[str]:
    """A base line with ticks, their values, and the axis' name centred below."""
    parts = [element("line", class_="axis", x1=scale.start, x2=scale.end, y1=y, y2=y)]
    end = -1e9
    for value in scale.ticks(max(3, int((scale.end - scale.start) / 80))):
        x, label = scale(value), short(value)
        half = width_of(label) / 2
        if x - half < end + 6:  # two labels would touch
            continue
        end = x + half
        parts.append(element("line", class_="axis", x1=x, x2=x, y1=y, y2=y + 4))
        parts.append(text(label, x, y + 18, class_="tick", text_anchor="middle"))
    parts.append(text(name, (scale.start + scale.end) / 2, y + 37, class_="name", text_anchor="middle"))
    return parts


def _attribute(key: str) -> str:
    return key if key == "viewBox" else key.rstrip("_").replace("_", "-")


def _value(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else escape(str(value))
