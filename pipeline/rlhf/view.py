"""The RLHF stage's files as a section of the report."""

from typing import Any

from pipeline.rlhf import rule
from pipeline.sections import Block, Cell, Chart, Example, Examples, Note, Section, Table
from pipeline.stage import StageFolder

TITLE = "RLHF"
COUNTS = (
    ("length", "mean length of a reply, tokens"),
    ("ended", "share of replies that end by themselves"),
    ("kl", "KL to the reference, nats a reply"),
    ("kl_k3", "the same by k3"),
    ("model_score", "reward model's score"),
    ("rule", f"rule: {rule.NAME}"),
)


def section(folder: StageFolder, inputs: dict[str, StageFolder]) -> Section | None:
    """Reward against KL and length, before and after; None before any of it was measured."""
    rows, evaluations = _measured(folder)
    if not rows:
        return None
    blocks = _charts(rows, evaluations)
    lead = f"{len(rows)} iterations were measured; training has not ended."
    headline = []
    if folder.done("heldout.json"):
        found = folder.read_json("heldout.json")
        low, high = found["gain"]["interval"]
        lead = (
            f"On {found['prompts']} held-out prompts the reward ({_name(found['headline'])}) went from"
            f" {found['before']['reward']:.3f} to {found['after']['reward']:.3f} (gain {found['gain']['mean']:.3f},"
            f" {found['confidence']:.0%} interval {low:.3f} to {high:.3f}), at a KL of {found['after']['kl']:.2f} nats"
            f" a reply (bound {found['kl_bound']:g})."
        )
        rewards = [found[side]["reward"] for side in ("before", "after")]
        headline = [(f"reward at KL {found['after']['kl']:.1f}", f"{rewards[0]:z.2f} -> {rewards[1]:z.2f}")]
        blocks = [_table(found), *blocks]
        if not found["last_is_kept"]:
            blocks.append(
                Note(f"The last policy was beyond the KL bound: that of iteration {found['kept_iteration']} is kept.")
            )
    if folder.done("samples.jsonl"):
        blocks.append(_samples(folder.read_jsonl("samples.jsonl")))
    return Section("rlhf", TITLE, lead, blocks, headline)


def _measured(folder: StageFolder) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of the iterations and the evaluations: those of the newest checkpoint while the stage is at work."""
    if folder.done("metrics/evaluations.jsonl"):
        return folder.read_jsonl("metrics/iterations.jsonl"), folder.read_jsonl("metrics/evaluations.jsonl")
    kept = [p for p in folder.pieces("checkpoints/") if p.endswith("progress.json")]
    if not kept:
        return [], []
    progress = folder.read_json(kept[-1])
    return progress["rows"], progress["evaluations"]


def _name(kind: str) -> str:
    return f"rule: {rule.NAME}" if kind == "rule" else "reward model"


def _table(found: dict[str, Any]) -> Table:
    before, after = found["before"], found["after"]
    rows: list[list[Cell]] = [["reward that trains", before["reward"], after["reward"]]]
    rows += [["  lower end of its interval", before["interval"][0], after["interval"][0]]]
    rows += [["  upper end of its interval", before["interval"][1], after["interval"][1]]]
    rows += [[name, before[key], after[key]] for key, name in COUNTS]
    note = "The rule gives a quarter for each: " + ", ".join(rule.conditions("", False)) + "."
    return Table("Held-out prompts, before and after", ["what", "before", "after"], rows, note)


def _charts(rows: list[dict[str, Any]], evaluations: list[dict[str, Any]]) -> list[Block]:
    def line(key: str) -> list[tuple[float, float]]:
        return [(float(r["iteration"]), float(r[key])) for r in rows]

    def held(key: str) -> list[tuple[float, float]]:
        return [(float(e["iteration"]), float(e[key])) for e in evaluations]

    braked = sum(r["braked"] for r in rows)
    note = f"Near the bound only the penalty trains: {braked} iterations of {len(rows)}." if braked else ""
    against = sorted((float(r["kl"]), float(r["reward"])) for r in rows)
    return [
        Chart("Reward", {"training": line("reward"), "held-out": held("reward")}, x="iteration", y="reward a reply"),
        Chart(
            "KL to the reference", {"training": line("kl"), "held-out": held("kl")}, x="iteration", y="nats", note=note
        ),
        Chart("Reward against KL", {"iterations": against}, x="KL, nats a reply", y="reward a reply", kind="scatter"),
        Chart("Length of a reply", {"training": line("length"), "held-out": held("length")}, x="iteration", y="tokens"),
        Chart(
            "Reward model's score",
            {"training": line("model_score"), "held-out": held("model_score")},
            "iteration",
            "score",
        ),
        Chart("Loss of the value function", {"training": line("value_loss")}, x="iteration", y="half squared error"),
        Chart("Entropy of the policy", {"training": line("entropy")}, x="iteration", y="nats a token"),
    ]


def _samples(samples: list[dict[str, Any]]) -> Examples:
    items = [
        Example(
            s["prompt"][:60],
            {"prompt": s["prompt"], "rule before": f"{s['rule_before']:.2f}", "rule after": f"{s['rule_after']:.2f}"},
            f"after: {s['after']}",
            f"before: {s['before']}",
        )
        for s in samples
    ]
    return Examples("Replies to held-out prompts, before and after RLHF", items)
