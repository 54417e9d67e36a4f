"""A document as Markdown: the page's twin, with charts as tables. Knows no HTML."""

from pipeline import figures
from pipeline.sections import Block, Cell, Chart, Example, Examples, Table
from pipeline.views.chart_table import chart_table
from pipeline.views.document import STATES, Document, Part

CLIP = 500  # characters of an example


def page(document: Document) -> str:
    """The twin's whole text."""
    parts = [f"# {document.title}", f"**{document.state}** {plain(document.summary)}"]
    parts.append(_facts(document.facts))
    if document.failure:
        fail = document.failure
        parts.append(f"## Stage {fail.stage} failed")
        parts += [fenced(fail.why), fail.remedy, fenced(fail.trace) if fail.trace else ""]
    if document.figures:
        rows: list[list[Cell]] = [[figure.name, figure.value, figure.stage] for figure in document.figures]
        parts.append(table(Table("What was made", ["figure", "value", "stage"], rows), level=2))
    parts.append(_stages(document))
    for group in document.groups:
        parts += [f"## {group.title}", *(table(one) for one in group.tables)]
    parts.append("## Environment")
    parts.append(_facts(document.environment) or "No stage has said yet where it ran.")
    for summary in document.summaries:
        parts += [f"## {plain(summary.title)}", plain(summary.lead), *(_block(block) for block in summary.blocks)]
    for part in document.parts:
        parts += _part(part)
    if document.config:
        parts += ["## run.toml", fenced(document.config)]
    return "\n\n".join(text for text in parts if text) + "\n"


def table(shown: Table, level: int = 3) -> str:
    """A pipe table under its title."""
    numeric = figures.numeric(shown)
    lines = [_line(shown.columns), _line(["---:" if right else "---" for right in numeric], escape=False)]
    lines += [_line([figures.cell(value) for value in row]) for row in shown.rows]
    if not shown.rows:
        lines = ["Nothing to show."]
    title = f"{'#' * level} {plain(shown.title)}\n\n" if shown.title else ""
    return title + "\n".join(lines) + (f"\n\n{plain(shown.note)}" if shown.note else "")


def fenced(text: str) -> str:
    """Any text as a code block: the fence is longer than any run of back-ticks inside."""
    longest = run = 0
    for character in text:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text.rstrip()}\n{fence}"


def plain(text: str) -> str:
    """Text on one line that Markdown leaves alone."""
    flat = " ".join(text.split())
    for character in "\\`*_<>|#[]":
        flat = flat.replace(character, "\\" + character)
    return flat


def _part(part: Part) -> list[str]:
    section = part.section
    parts = [f"## {part.stage}: {plain(section.title)}" if section else f"## {part.stage}"]
    if part.state != "done":
        parts.append(f"**{STATES[part.state]}**")
    if part.problem:
        parts.append(fenced(part.problem))
    if section:
        parts.append(plain(section.lead))
        parts += [_block(block) for block in section.blocks]
    return parts


def _block(block: Block) -> str:
    if isinstance(block, Table):
        return table(block)
    if isinstance(block, Chart):
        return table(chart_table(block))
    if isinstance(block, Examples):
        items = "\n\n".join(_example(item) for item in block.items) or "None."
        return f"### {plain(block.title)}\n\n{items}"
    return plain(block.text)


def _example(item: Example) -> str:
    parts = [f"**{plain(item.head)}**"]
    if item.fields:
        parts.append("; ".join(f"{name}: {plain(value)}" for name, value in item.fields.items()))
    parts.append(fenced(_clip(item.text)))
    if item.partner:
        parts += ["beside its partner", fenced(_clip(item.partner))]
    return "\n\n".join(parts)


def _stages(document: Document) -> str:
    rows: list[list[Cell]] = []
    for row in document.rows:
        state = row.said or STATES[row.state]
        rows.append([row.stage, state, figures.seconds(row.seconds), figures.size(row.memory), row.digest[:12] or None])
    return table(Table("Stages", ["stage", "state", "time", "peak memory", "digest"], rows), level=2)


def _facts(facts: list[tuple[str, str]]) -> str:
    return "\n".join(f"- {name}: {plain(value)}" for name, value in facts)


def _line(cells: list[str], escape: bool = True) -> str:
    return "| " + " | ".join(plain(text) if escape else text for text in cells) + " |"


def _clip(text: str) -> str:
    return text if len(text) <= CLIP else f"{text[:CLIP]}… ({len(text) - CLIP:,} more characters)"
