"""What ``firstlight inspect RUN corpus`` shows: the funnel, or documents of one step."""

from cluster.errors import UserError
from pipeline.corpus import look
from pipeline.rows import STEPS
from pipeline.sections import Block, Examples, Section
from pipeline.stage import StageFolder

_SETS = {"kept": "kept", "split": "heldout", "heldout": "heldout"}  # what --step may say, and the pieces it means


def inspect(folder: StageFolder, step: str | None = None, source: str | None = None, n: int = 5) -> Section:
    """The funnel where no step is given; else up to n documents of that step. Raises UserError for an unknown one."""
    if not folder.done("funnel.json"):
        raise UserError("RUN", folder.run, "the corpus stage has not finished", "Run it first: firstlight run")
    funnel = folder.read_json("funnel.json")
    if source is not None and source not in funnel:
        raise UserError("--source", source, "there is no such source", f"Sources: {', '.join(funnel)}")
    if step is not None and step not in (*STEPS, *_SETS):
        raise UserError("--step", step, "there is no such step", f"Steps: {', '.join([*STEPS, 'kept', 'heldout'])}")
    if step is None:
        chosen = {source: funnel[source]} if source else funnel
        blocks: list[Block] = [look.funnel_table(chosen), look.lost_table(chosen), look.reasons_table(chosen)]
        return Section("corpus", "Corpus", "Documents by step, source and reason; --step shows documents.", blocks)
    prefix = _SETS.get(step)
    if prefix:
        found = look.documents(folder, prefix, source, n)
    else:
        found = look.examples(folder, step, source, n)
        found += look.cuts(folder, step, source, n - len(found))
    lead = f"{len(found)} document{'s' * (len(found) != 1)} of step {step}" + (f", source {source}." if source else ".")
    return Section("corpus", f"Corpus: {step}", lead, [Examples(step, found)])
