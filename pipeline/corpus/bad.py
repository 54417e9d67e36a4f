"""What could not be read, and what was passed over, by source: it is told, and too much of the first ends the run."""

from collections import Counter
from itertools import zip_longest
from typing import Any

from cluster.errors import SourceError
from pipeline.corpus import locate
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.readers.config import Source
from pipeline.stage import StageContext

OVER = "timing/passed_over.json"  # names of files count for it: outside of the digest
WHOLE_FILES = frozenset(
    ["truncated", "damaged", "endless", "not_gzip", "not_zstd", "not_bzip2", "not_parquet", "not_warc"]
)
READABLE = frozenset(["no_content", "nested_too_deep", "too_many_attributes", "too_long"])
"""Reasons that say nothing of the settings or the files: the web is full of them."""
FORGIVEN = 10  # bad records of a source that never end a run
EXAMPLES = 3


def judge(ctx: StageContext, config: CorpusConfig, groups: list[str]) -> None:
    """Events for what was lost whole or passed over. Raises SourceError for a source with too many bad records."""
    parts = [ctx.folder.read_json(f"work/read/{group}.json") for group in groups]
    told: dict[str, dict[str, int]] = {}
    for source in config.sources:
        over: Counter[str] = Counter()
        locate.listed(source, over)
        for part in parts:
            over.update(part["over"].get(source.name, {}))
        told[source.name] = dict(+over)
        for cause, count in sorted(told[source.name].items()):
            ctx.event("passed_over", source=source.name, cause=cause, count=count)
    ctx.folder.write_json(OVER, told)
    for source in config.sources:
        _judge(ctx, source, [part for part in parts if source.name in part["sizes"]], groups)


def _judge(ctx: StageContext, source: Source, parts: list[dict[str, Any]], groups: list[str]) -> None:
    bad: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for reason, (drops, count) in (said for part in parts for said in part["bad"].get(source.name, {}).items()):
        bad[reason] += count * (reason not in READABLE)
        files[reason] += drops * (reason in WHOLE_FILES)  # each may hide many records
    for reason, drops in sorted((+files).items()):
        ctx.event("files_set_aside", source=source.name, reason=reason, files=drops)
    passed = sum(part["sizes"][source.name]["read"][0] for part in parts)
    count, found = bad.total(), bad.total() + passed
    if count > max(FORGIVEN, source.max_bad * found):
        said = ", ".join(f"{n} {reason}" for reason, n in bad.most_common() if n)
        rule = f"{count} of {found} records could not be read, more than a share of {source.max_bad:g}: {said}"
        rule += "; such as " + "; ".join(_examples(ctx, source, bad, groups))
        remedy = f"See `firstlight inspect {ctx.run} corpus --step read`; mend the files or fields, or raise max_bad"
        raise SourceError(f"corpus.sources.{source.name}.max_bad", source.max_bad, rule, remedy)


def _examples(ctx: StageContext, source: Source, bad: Counter[str], groups: list[str]) -> list[str]:
    """Places of a few bad records, the commonest reasons in turn."""
    places: dict[str, list[str]] = {reason: [] for reason, count in bad.most_common() if count}
    for piece in (f"timing/where/{group}.jsonl" for group in groups):
        for line in ctx.folder.read_jsonl(piece) if ctx.folder.done(piece) else ():
            if line["source"] == source.name and line["reason"] in places:
                places[line["reason"]].append(f"{line['reason']}: {line['where']}")
    in_turn = (place for layer in zip_longest(*places.values()) for place in layer if place)
    return [place for place, _ in zip(in_turn, range(EXAMPLES), strict=False)]
