"""The finetune stage's files as a section of the report."""

from typing import Any

from pipeline.sections import Block, Chart, Example, Examples, Note, Section, Table
from pipeline.stage import StageFolder

TITLE = "Finetuning"


def section(folder: StageFolder, inputs: dict[str, StageFolder]) -> Section | None:
    """What was learnt from, the losses, and replies before and after; None before any of it stands."""
    if not folder.done("dialogues.json"):
        return None
    facts = folder.read_json("dialogues.json")
    blocks: list[Block] = [_dialogues(facts)]
    if folder.done("metrics/steps.jsonl"):
        blocks += _curves(folder.read_jsonl("metrics/steps.jsonl"))
    lead = f"{facts['pieces']:,} pieces of dialogue are packed into {facts['rows']:,} rows; training has not ended."
    headline = []
    if folder.done("heldout.json"):
        loss = folder.read_json("heldout.json")
        lead = (
            f"On the assistant's tokens of held-out dialogues ({loss['tokens']:,}), the loss went from"
            f" {loss['before']:.3f} to {loss['after']:.3f} nats a token."
        )
        headline = [("held-out reply loss", f"{loss['before']:.2f} -> {loss['after']:.2f}")]
    if folder.done("samples.jsonl"):
        blocks.append(_samples(folder.read_jsonl("samples.jsonl")))
    return Section("finetune", TITLE, lead, blocks, headline)


def _dialogues(facts: dict[str, Any]) -> Table:
    rows: list[list[str | int | float | None]] = [["dialogues that could be used", facts["dialogues"]]]
    rows += [[f"used, {source}", count] for source, count in facts["used"].items()]
    rows += [["left, the token budget was full", facts.get("beyond_budget", 0)]]
    rows += [["exchanges left out, longer than the context", facts["exchanges_too_long"]]]
    rows += [[f"documents passed over: {why}", n] for why, n in facts["documents_passed_over"].items()]
    rows += [["pieces", facts["pieces"]], ["packed rows", facts["rows"]], ["share of places filled", facts["filled"]]]
    return Table("Dialogues", ["what", "count"], rows)


def _curves(steps: list[dict[str, Any]]) -> list[Block]:
    train = [(float(s["tokens"]), float(s["loss"])) for s in steps]
    probe = [(float(s["tokens"]), float(s["probe"])) for s in steps if "probe" in s]
    skipped = [s for s in steps if "skipped" in s]
    blocks: list[Block] = [
        Chart(
            "Loss of finetuning",
            {"training": train, "held-out": probe},
            x="tokens",
            y="nats per counted token",
            note="A held-out point is of the weights before that step.",
        )
    ]
    if skipped:
        blocks.append(Note(f"{len(skipped)} steps were skipped: {skipped[0]['skipped']}."))
    return blocks


def _samples(samples: list[dict[str, str]]) -> Examples:
    """The pretrained model's reply is the partner: what the same prompt gave before."""
    items = [
        Example(f"{s['prompt'][:60]}", {"prompt": s["prompt"]}, f"after: {s['after']}", f"before: {s['before']}")
        for s in samples
    ]
    return Examples("Replies to held-out prompts, before and after finetuning", items)
