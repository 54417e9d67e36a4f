"""The search in the report: every trial, its curve and its rung, and what was chosen."""

from typing import Any

from pipeline import figures
from pipeline.sections import Block, Cell, Chart, Note, Section, Table
from pipeline.stage import StageFolder


def section(folder: StageFolder, inputs: dict[str, StageFolder]) -> Section | None:
    """Trials of a search that is done or half done; None where there is none."""
    trials = [folder.read_json(p) for p in folder.pieces("trials/")]
    best = folder.read_json("best.json") if folder.done("best.json") else None
    if best is None and not trials:
        return None
    if best is not None and not best["rungs"]:
        said = "The search was off: pretraining takes the recipe's own learning rate and batch schedule."
        return Section("search", "Search", said, [Note("Turn it on with search.enabled = true.")])
    blocks: list[Block] = [_table(trials, best)]
    for rung in sorted({t["rung"] for t in trials}):
        series = {_name(t): [(float(x), float(y)) for x, y in t["curve"]] for t in trials if t["rung"] == rung}
        title = f"Training loss of the trials of rung {rung + 1}"
        blocks.append(Chart(title, series, "tokens", "nats a token"))
    if best is None:
        return Section("search", "Search", f"{len(trials)} trials are done; no choice was made yet.", blocks)
    blocks += _edge(trials, best)
    lead = (
        f"Of {best['rungs'][0]['losses'].__len__()} trials, number {best['trial']} was chosen after "
        f"{len(best['rungs'])} rungs: peak learning rate {best['peak_lr']:g}, batches {_batch(best['batch'])}."
    )
    return Section("search", "Search", lead, blocks, [("peak learning rate", f"{best['peak_lr']:g}")])


def _table(trials: list[dict[str, Any]], best: dict[str, Any] | None) -> Table:
    rows: list[list[Cell]] = []
    for trial in sorted(trials, key=lambda t: (t["rung"], t["loss"] is None, t["loss"] or 0.0, t["trial"])):
        gone = best is not None and trial["trial"] not in best["rungs"][trial["rung"]]["survivors"]
        fate = "stopped" if gone else "chosen" if best and trial["rung"] == len(best["rungs"]) - 1 else "went on"
        loss = "not finite" if trial["loss"] is None else round(trial["loss"], 4)
        budget = figures.short(trial["tokens"])
        peak = f"{trial['peak_lr']:g}"
        rows.append([trial["rung"] + 1, trial["trial"], peak, _batch(trial["batch"]), budget, loss, fate])
    columns = ["rung", "trial", "peak learning rate", "sequences a step", "tokens", "held-out loss", "then"]
    note = (
        "Each rung trains its trials from scratch over their whole schedule. Loss in nats a token; smaller is better."
    )
    return Table("Trials", columns, rows, note)


def _edge(trials: list[dict[str, Any]], best: dict[str, Any]) -> list[Block]:
    """A choice at the end of the grid says little about what lies beyond it."""
    rates = sorted({trial["peak_lr"] for trial in trials})
    if len(rates) < 2 or best["peak_lr"] not in (rates[0], rates[-1]):
        return []
    end, more = ("smallest", "smaller") if best["peak_lr"] == rates[0] else ("largest", "larger")
    said = f"The chosen rate is the {end} that was tried; search.peak_lrs may hold {more} ones that are better"
    return [Note(f"{said}, though longer runs tend to want smaller rates than short trials.")]


def _batch(batch: list[list[float]]) -> str:
    return ", ".join(f"{size:g} from {start:.0%}" if start else f"{size:g}" for start, size in batch)


def _name(trial: dict[str, Any]) -> str:
    return f"{trial['trial']}: {trial['peak_lr']:g}, {_batch(trial['batch'])}"
