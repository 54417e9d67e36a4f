"""An evaluation's files as a section of the report, and the three models side by side."""

from collections.abc import Callable
from typing import Any

from pipeline.evaluate.summary import TITLES
from pipeline.sections import Block, Cell, Chart, Note, Section, Table
from pipeline.stage import StageFolder

HOW = (
    "Bits per byte count every held-out token once, end tokens too; xz -9e packs the same bytes, for the total those of"
    " all sources in order of name. Few-shot items have solved examples before them. A cloze answer is exact where each"
    " token of the whole word is the model's first choice; its chance level is that of always giving the most frequent"
    " answer. Intervals are Wilson's, 95 %. All models get the same plain text, without a chat template."
)

Results = dict[str, Any]


def results(folder: StageFolder) -> Results | None:
    """What an evaluation found, or None where it has not ended."""
    found: Results | None = folder.read_json("results.json") if folder.done("results.json") else None
    return found


def section(folder: StageFolder, inputs: dict[str, StageFolder]) -> Section | None:
    """One model's evaluation; None before any of it stands."""
    stage = folder.stage.partition("@")[2]
    title = f"Evaluation {TITLES.get(stage, stage)}"
    found = results(folder)
    if found is None:
        pieces = len(folder.pieces("scores/"))
        return Section(folder.stage, title, f"Half done: {pieces} pieces of work stand.", []) if pieces else None
    return Section(folder.stage, title, lead(found), [*_blocks({stage: found}), Note(HOW)], headline(found))


def comparison(folders: dict[str, StageFolder]) -> Section | None:
    """The models side by side, of the stages whose evaluation has ended; `folders` by name, evaluate@STAGE."""
    found = {name.partition("@")[2]: r for name, folder in folders.items() if (r := results(folder)) is not None}
    found = {stage: found[stage] for stage in TITLES if stage in found}
    if not found:
        return None
    last = list(found)[-1]
    absent = [f"evaluate@{s}" for s in TITLES if s not in found]
    blocks = _blocks(found)
    if absent:
        blocks.append(Note(f"Not there yet: {', '.join(absent)}."))
    shown = [(f"after {stage}: {name}", value) for stage, r in found.items() for name, value in headline(r)]
    return Section("evaluate", "Evaluation", lead(found[last]), [*blocks, Note(HOW)], shown)


def lead(found: Results) -> str:
    """One sentence: bits per byte beside xz."""
    total = found["text"]["total"]
    when = TITLES.get(str(found["stage"]), str(found["stage"]))
    return (
        f"{when[0].upper()}{when[1:]}, {total['bytes']:,} held-out bytes take"
        f" {total['bits_per_byte']:.3f} bits a byte, {total['ratio']:.3f} times those of xz -9e"
        f" ({total['xz_bits_per_byte']:.3f})."
    )


def headline(found: Results) -> list[tuple[str, str]]:
    """The figure for the front page."""
    total = found["text"]["total"]
    return [(f"bits a byte, {total['ratio']:.2f} x xz", f"{total['bits_per_byte']:.3f}")]


def _blocks(found: dict[str, Results]) -> list[Block]:
    return [_text_table(found), _text_chart(found), _task_table(found), _task_chart(found)]


def _text_table(found: dict[str, Results]) -> Table:
    first = next(iter(found.values()))["text"]
    names = [*sorted(first["sources"]), "total"]

    def of(result: Results, name: str) -> dict[str, Any]:
        part: dict[str, Any] = result["text"]["total"] if name == "total" else result["text"]["sources"][name]
        return part

    rows: list[list[Cell]] = []
    for name in names:
        base = of(next(iter(found.values())), name)
        row: list[Cell] = [name, base["bytes"], base["tokens"], round(base["xz_bits_per_byte"], 3)]
        for result in found.values():
            row += [round(of(result, name)["bits_per_byte"], 3), round(of(result, name)["ratio"], 3)]
        rows.append(row)
    columns = ["source", "bytes", "tokens", "xz -9e"]
    for stage in found:
        columns += [stage, f"{stage} / xz"]
    left = first["total"]["left_out_bytes"]
    note = f"{left:,} held-out bytes beyond the cap of each source were not scored." if left else ""
    return Table("Bits per byte on held-out text", columns, rows, note)


def _text_chart(found: dict[str, Results]) -> Chart:
    first = next(iter(found.values()))["text"]
    names = sorted(first["sources"])
    series = {"xz -9e": [(float(i), first["sources"][n]["xz_bits_per_byte"]) for i, n in enumerate(names)]}
    for stage, result in found.items():
        sources = result["text"]["sources"]
        series[stage] = [(float(i), sources[n]["bits_per_byte"]) for i, n in enumerate(names)]
    return Chart("Bits per byte by source", series, "source", "bits per byte", kind="bar", labels=names)


Part = Callable[[Results], dict[str, Any]]


def _measures(found: dict[str, Results]) -> list[tuple[str, str, Part, Part]]:
    """(task, measure, the setting in a result, the rate in a result)."""
    made: list[tuple[str, str, Part, Part]] = []
    first = next(iter(found.values()))["tasks"]
    names = {"sum": "likeliest", "per_byte": "likeliest per byte", "exact": "exact word"}
    for kind in sorted(first):
        for shots in sorted(first[kind], key=int):
            for measure in ("exact",) if kind == "cloze" else ("sum", "per_byte"):
                task = f"{kind}, {shots}-shot"

                def setting(r: Results, kind: str = kind, shots: str = shots) -> dict[str, Any]:
                    part: dict[str, Any] = r["tasks"][kind][shots]
                    return part

                def rate(r: Results, setting: Part = setting, measure: str = measure) -> dict[str, Any]:
                    part: dict[str, Any] = setting(r)[measure]
                    return part

                made.append((task, names[measure], setting, rate))
    return made


def _task_table(found: dict[str, Results]) -> Table:
    rows: list[list[Cell]] = []
    for task, measure, setting, rate in _measures(found):
        base = next(iter(found.values()))
        chance = setting(base)["chance"]
        row: list[Cell] = [task, measure, rate(base)["items"], None if chance is None else round(100 * chance, 1)]
        for result in found.values():
            part = rate(result)
            if part["rate"] is None:
                row.append(None)
            else:
                row.append(f"{100 * part['rate']:.1f} ({100 * part['low']:.1f} to {100 * part['high']:.1f})")
        rows.append(row)
    return Table("Items answered right, %", ["task", "measure", "items", "chance", *found], rows, _fitting(found))


def _fitting(found: dict[str, Results]) -> str:
    """What did not fit the context; the same for all models."""
    said = []
    for kind, by in sorted(next(iter(found.values()))["tasks"].items()):
        for shots, setting in sorted(by.items(), key=lambda pair: int(pair[0])):
            without = sum(n for given, n in setting["shots"].items() if given != shots)
            counts = {
                "lost the left side of their context": setting["context_cut"],
                "got no examples": without,
                "were not scored": setting["too_long"],
            }
            told = [f"{n} {what}" for what, n in counts.items() if n]
            if told:
                said.append(f"{kind}, {shots}-shot: {', '.join(told)}")
    return f"So that items fit the context: {'; '.join(said)}." if said else ""


def _task_chart(found: dict[str, Results]) -> Chart:
    measures = _measures(found)
    labels = [f"{task}, {measure}" for task, measure, _, _ in measures]
    base = next(iter(found.values()))
    series = {"chance": [(float(i), 100 * (s(base)["chance"] or 0.0)) for i, (_, _, s, _) in enumerate(measures)]}
    for stage, result in found.items():
        series[stage] = [(float(i), 100 * (rate(result)["rate"] or 0.0)) for i, (_, _, _, rate) in enumerate(measures)]
    return Chart("Items answered right", series, "task", "right, %", kind="bar", labels=labels)
