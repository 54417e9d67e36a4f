"""The reward stage's files as a section of the report."""

from typing import Any

from pipeline.sections import Block, Cell, Chart, Section, Table
from pipeline.stage import StageFolder


def section(folder: StageFolder, inputs: dict[str, StageFolder]) -> Section | None:
    """Pairs, loss, and accuracy beside length alone; None before any of it stands."""
    if not folder.done("pairs.json"):
        return None
    counts = folder.read_json("pairs.json")
    lead = f"{counts['pairs']['trained_on']} pairs of chats are made; training has not ended."
    blocks: list[Block] = []
    headline = []
    if folder.done("accuracy.json"):
        found = folder.read_json("accuracy.json")
        verdict = "beats" if found["beats_length"] else "does not beat"
        lead = (
            f"The reward model orders {found['accuracy']:.3f} of {found['pairs']} held-out, length-matched pairs right;"
            f" its lower bound, {found['lower']:.3f}, {verdict} length alone ({found['length_baseline']:.3f})."
        )
        headline = [
            ("pairs right", f"{found['accuracy']:.3f} ({found['lower']:.2f} to {_upper(found):.2f})"),
            ("pairs right by length alone", f"{found['length_baseline']:.3f}"),
        ]
        blocks += _accuracy(found, counts)
    blocks.append(_pairs(counts))
    if folder.done("metrics/steps.jsonl"):
        steps = folder.read_jsonl("metrics/steps.jsonl")
        points = [(float(s["step"]), float(s["loss"])) for s in steps]
        chance = [(x, 0.6931) for x, _ in (points[0], points[-1])]
        blocks.append(
            Chart("Loss of the reward model", {"training": points, "chance, ln 2": chance}, x="step", y="nats per pair")
        )
    return Section("reward", "Reward model", lead, blocks, headline)


def _upper(found: dict[str, Any]) -> float:
    """The other end of the wider interval."""
    return max(float(found["wilson"][1]), float(found["bootstrap"][1]))


def _accuracy(found: dict[str, Any], counts: dict[str, Any]) -> list[Block]:
    rows: list[list[Cell]] = [
        ["reward model", found["accuracy"], found["lower"], _upper(found)],
        [f"length alone ({counts['length_rule']} is better)", found["length_baseline"], None, None],
        ["chance", 0.5, None, None],
        ["length alone, pairs not matched", counts["unmatched_length_accuracy"], None, None],
    ]
    note = (
        f"{found['pairs']} pairs of {found['chats']} chats that no training pair holds. The interval"
        f" ({found['confidence']:.0%}) is the wider of Wilson's and a bootstrap over chats, since pairs share chats."
    )
    return [Table("Pairs ordered right", ["by", "share", "lower", "upper"], rows, note)]


def _pairs(counts: dict[str, Any]) -> Table:
    rows: list[list[Cell]] = [[f"passed over: {why}", n] for why, n in counts["passed_over"].items()]
    rows += [[f"chats, {side}", n] for side, n in counts["chats"].items()]
    rows += [[f"pairs, {side.replace('_', ' ')}", n] for side, n in counts["pairs"].items()]
    return Table("Rated chats and pairs", ["what", "count"], rows)
