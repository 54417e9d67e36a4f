"""Reads what the corpus stage wrote, for people: the funnel as tables, dropped documents with their partners.

Knows the pieces' names, not how a table or an example is drawn.
"""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import rows
from pipeline.rows import STEPS
from pipeline.sections import Cell, Chart, Example, Table
from pipeline.stage import StageFolder

SHOWN_CHARACTERS = 600
MEANING = {
    "read": "could not be read",
    "clean": "nothing left after cleaning",
    "filter": "broke a quality rule",
    "exact_dup": "same text as its partner",
    "split": "held out",
    "near_dup": "score is the Jaccard index of word shingles with its partner",
    "decontaminate": "score counts the n-grams shared with the held-out text, boilerplate apart",
}
_PREFIXES = ("kept", "heldout", "dropped")


def funnel_table(funnel: dict[str, dict[str, dict[str, Any]]]) -> Table:
    """One row a source: documents left after each step, and the megabytes at both ends."""
    body: list[list[Cell]] = []
    for source, steps in funnel.items():
        ends = [steps[step]["bytes"] / 1e6 for step in ("read", STEPS[-1])]
        moved = steps["split"]["dropped"].get("held_out", 0)
        found = steps["read"]["documents"] + sum(steps["read"]["dropped"].values())
        left = [steps[step]["documents"] for step in STEPS]
        body.append([source, found, *left, moved, *(round(size, 2) for size in ends)])
    total: list[Cell] = ["all"]
    for i in range(1, len(body[0]) if body else 0):
        column = [row[i] for row in body]
        total.append(round(sum(cell for cell in column if isinstance(cell, int | float)), 2))
    columns = ["source", "found", *STEPS, "held out", "MB read", "MB kept"]
    note = "Documents left after each step, in the order of the steps. The split moves documents to the held-out set."
    return Table("Documents by step", columns, [*body, total] if body else [], note)


def reasons_table(funnel: dict[str, dict[str, dict[str, Any]]]) -> Table:
    """One row for each step and reason, one column a source."""
    found: dict[tuple[int, str], dict[str, int]] = {}
    for source, steps in funnel.items():
        for number, step in enumerate(STEPS):
            for reason, count in steps[step]["dropped"].items():
                if step != "split":
                    found.setdefault((number, reason), {})[source] = count
    body: list[list[Cell]] = []
    for (number, reason), counts in sorted(found.items()):
        body.append([STEPS[number], reason, *(counts.get(source) for source in funnel), sum(counts.values())])
    return Table("Dropped documents by reason", ["step", "reason", *funnel, "all"], body)


def size_chart(funnel: dict[str, dict[str, dict[str, Any]]]) -> Chart:
    """Megabytes read and kept, by source."""
    series = {
        name: [(float(i), steps[step]["bytes"] / 1e6) for i, steps in enumerate(funnel.values())]
        for name, step in (("read", "read"), ("kept for training", STEPS[-1]))
    }
    return Chart("Text by source", series, x="source", y="MB", kind="bar", labels=list(funnel))


def dropped(folder: StageFolder, step: str | None, source: str | None) -> pa.Table:
    """The dropped documents of a step and a source, or of all; by piece, then by id."""
    found = []
    for piece in folder.pieces("dropped/"):
        table = folder.read_table(piece)
        for column, value in (("step", step), ("source", source)):
            if value is not None:
                table = table.filter(pc.equal(table[column], value))
        found.append(table)
    return pa.concat_tables(found) if found else pa.table({name: [] for name in ("id", "source", "step", "reason")})


def examples(folder: StageFolder, step: str, source: str | None, n: int) -> list[Example]:
    """Up to n dropped documents of a step, its reasons and sources in turn, each beside its partner."""
    by_kind: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in dropped(folder, step, source).to_pylist():
        by_kind.setdefault((row["reason"], row["source"]), []).append(row)
    return [_example(folder, row) for row in _in_turn(list(by_kind.values()), n)]


def documents(folder: StageFolder, prefix: str, source: str | None, n: int) -> list[Example]:
    """Up to n documents that were kept or held out, the sources in turn."""
    by_source: dict[str, list[dict[str, Any]]] = {}
    for piece in folder.pieces(f"{prefix}/")[:1]:
        for row in folder.read_table(piece).to_pylist():
            if source in (None, row["source"]):
                by_source.setdefault(row["source"], []).append(row)
    return [
        Example(row["source"], {"id": row["id"]} | _facts(row["meta"]), _cut(row["text"]))
        for row in _in_turn(list(by_source.values()), n)
    ]


def _in_turn(groups: list[list[dict[str, Any]]], n: int) -> Iterator[dict[str, Any]]:
    """n rows: the first of each group, then the second of each, ..."""
    layers = max(map(len, groups), default=0)
    rows_in_turn = (group[layer] for layer in range(layers) for group in groups if layer < len(group))
    for _, row in zip(range(n), rows_in_turn, strict=False):
        yield row


def _example(folder: StageFolder, row: dict[str, Any]) -> Example:
    fields = {"id": row["id"], "score": f"{row['score']:g}", "meaning": MEANING[row["step"]]}
    partner = ""
    if row["partner"]:
        fields["partner"] = row["partner"]
        partner = _cut(_text_of(folder, row["partner"]))
    return Example(f"{row['source']}: {row['step']}, {row['reason']}", fields, _cut(row["text"]), partner)


def _text_of(folder: StageFolder, document: str) -> str:
    """The text of a document, wherever it went; of a dropped one, as much as was kept."""
    for prefix in _PREFIXES:
        pieces = folder.pieces(f"{prefix}/")
        if pieces:
            table = folder.read_table(rows.piece(prefix, rows.piece_of(document, len(pieces))))
            found = table.filter(pc.equal(table["id"], document))["text"].to_pylist()
            if found:
                return str(found[0])
    return ""


def _facts(meta: str) -> dict[str, str]:
    facts = json.loads(meta) if meta else {}
    return {name: str(value) for name, value in facts.items() if name != "turns"}


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + " ..."
