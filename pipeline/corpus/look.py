"""Reads what the corpus stage wrote, for people: the funnel as tables, dropped documents with their partners.

Knows the pieces' names, not how a table or an example is drawn.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import rows
from pipeline.corpus.bad import OVER
from pipeline.corpus.leaks.benchmarks import is_item
from pipeline.corpus.near.earlier import RUNS
from pipeline.rows import STEPS
from pipeline.sections import Cell, Chart, Example, Table
from pipeline.stage import StageFolder

SHOWN_CHARACTERS = 600
MOST_LANGUAGES = 24
MOST_CAUSES = 20  # of a source
MOST_PLACES = 5  # of a record
MEANING = {
    "read": "could not be read",
    "clean": "nothing left after cleaning",
    "filter": "broke a quality rule",
    "exact_dup": "same text as its partner, or the same record read again",
    "split": "held out",
    "near_dup": "score is the similarity (Jaccard index) or containment of word shingles, beside its partner",
    "substring": "too little was left after repeated passages; score counts the bytes left",
    "decontaminate": "score counts the n-grams shared with the held-out text, boilerplate apart",
}


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


def lost_table(funnel: dict[str, dict[str, dict[str, Any]]]) -> Table:
    """One row a source: the share of its bytes that each step took."""
    body: list[list[Cell]] = []
    for source, steps in funnel.items():
        before = [steps[step]["bytes"] for step in STEPS[:-1]]
        shares = [
            1 - steps[step]["bytes"] / size if size else 0.0 for step, size in zip(STEPS[1:], before, strict=True)
        ]
        body.append([source, *(f"{share:.1%}" for share in shares)])
    note = "Of the bytes that came to the step. The split moves text to the held-out set."
    return Table("Share of bytes lost to each step", ["source", *STEPS[1:]], body, note)


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


def length_chart(profile: dict[str, dict[str, Any]]) -> Chart:
    """Kept documents by length."""
    series = {
        source: [(float(2 ** max(0, int(bits) - 1)), float(count)) for bits, count in facts["lengths"].items()]
        for source, facts in profile.items()
    }
    return Chart("Kept documents by length", series, x="bytes, from", y="documents", log_x=True, log_y=True)


def language_chart(profile: dict[str, dict[str, Any]]) -> Chart | None:
    """Kept documents by language, the commonest first; None where no document says its language."""
    total: Counter[str] = Counter()
    for facts in profile.values():
        total.update(facts["languages"])
    if not total:
        return None
    labels = [code for code, _ in sorted(total.items(), key=lambda both: (-both[1], both[0]))[:MOST_LANGUAGES]]
    series = {
        source: [(float(i), float(facts["languages"].get(code, 0))) for i, code in enumerate(labels)]
        for source, facts in profile.items()
        if facts["languages"]
    }
    return Chart("Kept documents by language", series, x="language", y="documents", kind="bar", labels=labels)


def signals_table(profile: dict[str, dict[str, Any]]) -> Table:
    """One row a source and signal: how many kept documents have a value in each tenth."""
    body: list[list[Cell]] = [
        [source, name, *bins] for source, facts in profile.items() for name, bins in facts["signals"].items()
    ]
    tenths = [f"{k / 10:.1f}" for k in range(10)]
    note = (
        "Documents by the value of a signal, from 0 to 1. A signal is counted whether or not a threshold is set for it."
    )
    return Table("Signals of kept documents", ["source", "signal", *tenths], body, note)


def learnt_tables(folder: StageFolder) -> list[Table]:
    """What each trained classifier says of itself."""
    found = []
    for piece in folder.pieces("learnt/"):
        if piece.endswith(".json"):
            facts = folder.read_json(piece)
            rows_of: list[list[Cell]] = [[name, json.dumps(value)] for name, value in sorted(facts.items())]
            name = piece.removeprefix("learnt/").removesuffix(".json")
            found.append(Table(f"Trained classifier: {name}", ["fact", "value"], rows_of))
    return found


def cuts_table(folder: StageFolder) -> Table:
    """One row a step, reason and source: what was taken out of documents that stayed."""
    found: dict[tuple[int, str, str], list[int]] = {}
    for piece in folder.pieces("cuts/"):
        columns = folder.read_table(piece).select(["step", "reason", "source", "count", "bytes"]).to_pylist()
        for cut in columns:
            sums = found.setdefault((STEPS.index(cut["step"]), cut["reason"], cut["source"]), [0, 0, 0])
            for i, more in enumerate((1, cut["count"], cut["bytes"])):
                sums[i] += more
    body: list[list[Cell]] = [
        [STEPS[step], reason, source, *sums] for (step, reason, source), sums in sorted(found.items())
    ]
    return Table(
        "Taken out of documents that stayed", ["step", "reason", "source", "documents", "places", "bytes"], body
    )


def over_table(folder: StageFolder) -> list[Table]:
    """One row a source and cause: what was passed over while reading; no table where nothing was."""
    told = folder.read_json(OVER) if folder.done(OVER) else {}
    body: list[list[Cell]] = [
        [source, cause, count]
        for source, causes in told.items()
        for cause, count in sorted(causes.items(), key=lambda both: (-both[1], both[0]))[:MOST_CAUSES]
    ]
    return [Table("Passed over while reading", ["source", "what", "count"], body)] if body else []


def dropped(folder: StageFolder, step: str | None, source: str | None) -> pa.Table:
    """The dropped documents of a step and a source, or of all; by piece, then by id.

    Of a stage that has not finished, those that reading dropped.
    """
    found = []
    for piece in folder.pieces("dropped/" if folder.done("funnel.json") else "work/drops/"):
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
    found = where(folder) if step == "read" else {}
    chosen = _in_turn(list(by_kind.values()), n)
    return [_example(folder, row, _places(found.get((row["id"], row["reason"]), []))) for row in chosen]


def where(folder: StageFolder) -> dict[tuple[str, str], list[str]]:
    """Id of a record that could not be read, and why -> the files and offsets at which such bytes stand.

    Of the last reading, and outside the digest.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for line in (line for piece in folder.pieces("timing/where/") for line in folder.read_jsonl(piece)):
        found.setdefault((line["id"], line["reason"]), []).append(line["where"])
    return found


def _places(found: list[str]) -> str:
    more = len(found) - MOST_PLACES
    return "; ".join(found[:MOST_PLACES]) + (f"; and {more} more" if more > 0 else "")


def cuts(folder: StageFolder, step: str, source: str | None, n: int) -> list[Example]:
    """Up to n documents of which a step took a part, its reasons and sources in turn."""
    by_kind: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for piece in folder.pieces("cuts/"):
        for row in folder.read_table(piece).to_pylist():
            if row["step"] == step and source in (None, row["source"]):
                by_kind.setdefault((row["reason"], row["source"]), []).append(row)
    return [
        Example(
            f"{row['source']}: {step} took a part, {row['reason']}",
            {"id": row["id"], "places": str(row["count"]), "bytes": str(row["bytes"])},
            _cut(row["text"]),
        )
        for row in _in_turn(list(by_kind.values()), n)
    ]


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


def _example(folder: StageFolder, row: dict[str, Any], place: str = "") -> Example:
    fields = {"id": row["id"], "score": f"{row['score']:g}", "meaning": MEANING[row["step"]]}
    if place:
        fields["where"] = place
    partner = ""
    if row["partner"]:
        fields["partner"] = row["partner"]
        partner = _cut(_text_of(folder, row["partner"]))
    if row["cluster"]:
        fields["cluster"] = row["cluster"]
    text = row["text"] or (partner if row["step"] == "exact_dup" else "")  # the same, so it was not kept twice
    return Example(f"{row['source']}: {row['step']}, {row['reason']}", fields, _cut(text), partner)


def _text_of(folder: StageFolder, document: str) -> str:
    """The text of a document, wherever it went, and which earlier run has it; of a dropped one, as much as was kept."""
    if is_item(document):
        return ""
    runs = folder.read_json(RUNS) if folder.done(RUNS) else []
    folders = [folder, *(StageFolder.open(run, folder.stage) for run in runs)]
    for at, prefix in [*((at, prefix) for at in folders for prefix in ("kept", "heldout")), (folder, "dropped")]:
        pieces = at.pieces(f"{prefix}/")
        if pieces:
            table = at.read_table(rows.piece(prefix, rows.piece_of(document, len(pieces))))
            found = table.filter(pc.equal(table["id"], document))["text"].to_pylist()
            if found:
                return f"{found[0]}" if at is folder else f"[in the run {at.run}]\n{found[0]}"
    return ""


def _facts(meta: str) -> dict[str, str]:
    facts = json.loads(meta) if meta else {}
    return {name: str(value) for name, value in facts.items() if name != "turns"}


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + " ..."
