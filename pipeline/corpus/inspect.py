"""What ``firstlight inspect RUN corpus`` shows: the funnel, or documents of one step."""

from collections.abc import Mapping
from typing import Any

from cluster.errors import UserError
from pipeline.corpus import look
from pipeline.rows import STEPS
from pipeline.sections import Block, Examples, Section
from pipeline.stage import StageFolder

_SETS = {"kept": "kept", "split": "heldout", "heldout": "heldout"}  # what --step may say, and the pieces it means


def show(folder: StageFolder, asked: Mapping[str, Any]) -> Section:
    """What the command line asks for: ``step``, ``source`` (empty for all) and how many, ``n``."""
    return inspect(folder, asked["step"] or None, asked["source"] or None, asked["n"])


def inspect(folder: StageFolder, step: str | None = None, source: str | None = None, n: int = 5) -> Section:
    """The funnel where no step is given; else up to n documents of that step. Raises UserError for an unknown one."""
    finished = folder.done("funnel.json")
    if not finished and not (step == "read" and folder.pieces("work/drops/")):
        rule = "the corpus stage has not finished"
        raise UserError("RUN", folder.run, rule, "Run it first: firstlight run; --step read shows what stands")
    funnel = folder.read_json("funnel.json") if finished else {}
    if source is not None and finished and source not in funnel:
        raise UserError("--source", source, "there is no such source", f"Sources: {', '.join(funnel)}")
    if step is not None and step not in (*STEPS, *_SETS):
        raise UserError("--step", step, "there is no such step", f"Steps: {', '.join([*STEPS, 'kept', 'heldout'])}")
    if step is None:
        chosen = {source: funnel[source]} if source else funnel
        blocks: list[Block] = [look.funnel_table(chosen), look.lost_table(chosen), look.reasons_table(chosen)]
        blocks += look.over_table(folder)
        return Section("corpus", "Corpus", "Documents by step, source and reason; --step shows documents.", blocks)
    prefix = _SETS.get(step)
    if prefix:
        found = look.documents(folder, prefix, source, n)
    else:
        found = look.examples(folder, step, source, n)
        found += look.cuts(folder, step, source, n - len(found))
    lead = f"{len(found)} document{'s' * (len(found) != 1)} of step {step}" + (f", source {source}." if source else ".")
    return Section("corpus", f"Corpus: {step}", lead, [Examples(step, found)])
