"""A document as one HTML page that needs no network and no script: style and charts stand inside it."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline import figures
from pipeline.sections import Block, Chart
from pipeline.views.document import STATES, Document, anchor
from pipeline.views.render import bars, lines, svg

WIDE, NARROW = (760.0, 330.0), (390.0, 255.0)  # pixels at scale 1: a chart alone, and one of a pair or on a phone
CLIP = 700  # characters of an example that show before one opens the rest
_HERE = Path(__file__).parent


def page(document: Document) -> str:
    """The page's whole text."""
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "cell": figures.cell,
        "seconds": figures.seconds,
        "size": figures.size,
        "clean": figures.clean,
    }
    environment.globals |= {
        "anchor": anchor,
        "chart": chart,
        "legend": legend,
        "numeric": figures.numeric,
        "groups": groups,
    }
    environment.globals |= {"states": STATES, "kind": lambda block: type(block).__name__.lower(), "clip": CLIP}
    style = Markup((_HERE / "style.css").read_text(encoding="utf-8"))
    return environment.get_template("page.html.j2").render(document=document, style=style).lstrip()


def chart(shown: Chart, alone: bool) -> Markup:
    """The chart's picture; one that stands alone comes twice, and the style sheet shows the one that fits."""
    draw = bars.draw if shown.kind == "bar" else lines.draw
    pictures = [draw(shown, *NARROW, class_="narrow" if alone else "")]
    if alone:
        pictures.insert(0, draw(shown, *WIDE, class_="wide"))
    return Markup("".join(pictures))


def legend(shown: Chart, alone: bool) -> list[tuple[str, str]]:
    """(series, colour class) of each series where the lines do not carry their names."""
    named = (
        shown.kind == "line" and lines.labels_fit(shown, NARROW[0]) and (not alone or lines.labels_fit(shown, WIDE[0]))
    )
    if named or len(shown.series) < 2:
        return []
    return [(name, svg.colour(index)) for index, name in enumerate(shown.series)]


def groups(blocks: list[Block]) -> list[list[Block]]:
    """Blocks in order, neighbouring charts together: they stand side by side."""
    grouped: list[list[Block]] = []
    for block in blocks:
        if grouped and isinstance(block, Chart) and isinstance(grouped[-1][-1], Chart):
            grouped[-1].append(block)
        else:
            grouped.append([block])
    return grouped
