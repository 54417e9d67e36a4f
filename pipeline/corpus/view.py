"""The corpus stage's files as a section of the report."""

from pipeline.corpus import look
from pipeline.corpus.leaks import contamination
from pipeline.rows import STEPS
from pipeline.sections import Block, Examples, Note, Section
from pipeline.stage import StageFolder

EXAMPLES_A_STEP = 3

_RULES = (
    "Near-duplicates: MinHash proposes clusters, and a document goes only when its own shingles are close enough to "
    "those of a document that stays, or are nearly all in it; corpus.dedup.survivor says who is preferred. Held-out "
    "documents are chosen among those that are left. "
    "Decontamination: a training document goes when it shares enough n-grams with the held-out text or a benchmark. "
    "What many training documents share is boilerplate and does not count, but for a whole text of a benchmark item."
)


def section(folder: StageFolder, inputs: dict[str, StageFolder]) -> Section | None:
    """The funnel, its reasons, examples of what was dropped, and the items; None before the funnel stands."""
    if not folder.done("funnel.json"):
        return None
    funnel = folder.read_json("funnel.json")
    profile = folder.read_json("profile.json")
    blocks: list[Block] = [look.funnel_table(funnel), look.lost_table(funnel), look.size_chart(funnel)]
    blocks += [*look.over_table(folder), look.reasons_table(funnel), look.cuts_table(folder), Note(_RULES)]
    blocks.append(look.length_chart(profile))
    languages = look.language_chart(profile)
    blocks += [*([languages] if languages else []), look.signals_table(profile)]
    blocks += [contamination.table(folder.read_json("contamination.json")), *look.learnt_tables(folder)]
    for step in STEPS:
        found = look.examples(folder, step, None, EXAMPLES_A_STEP) + look.cuts(folder, step, None, EXAMPLES_A_STEP)
        if found:
            blocks.append(Examples(f"Dropped by {step}", found))
    kept = sum(steps[STEPS[-1]]["documents"] for steps in funnel.values())
    size = sum(steps[STEPS[-1]]["bytes"] for steps in funnel.values())
    held = sum(steps["split"]["dropped"].get("held_out", 0) for steps in funnel.values())
    dropped = sum(n for s in funnel.values() for step in STEPS if step != "split" for n in s[step]["dropped"].values())
    lead = (
        f"{kept:,} documents ({size / 1e6:.1f} MB) of {len(funnel)} sources are training text, {held:,} are held out, "
        f"and {dropped:,} were dropped, each with its step and reason."
    )
    headline = [("training text", f"{size / 1e6:.1f} MB"), ("documents", f"{kept:,}"), ("dropped", f"{dropped:,}")]
    return Section("corpus", "Corpus", lead, blocks, headline)
