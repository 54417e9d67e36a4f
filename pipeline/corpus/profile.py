"""What the kept documents are like: lengths, languages and signals of each source, as counts that add up. Pure."""

from collections import Counter, defaultdict
from typing import Any

import pyarrow as pa

from pipeline import rows
from pipeline.corpus import documents

BINS = 10  # of a signal between 0 and 1

Profile = dict[str, dict[str, Any]]
"""Source -> ``lengths`` {bits of the byte length: documents}, ``languages`` {code: documents}, ``signals`` {name: one
count for each tenth of 0 .. 1}."""


def of(kept: pa.Table) -> Profile:
    """The profile of some documents."""
    lengths: dict[str, Counter[str]] = defaultdict(Counter)
    languages: dict[str, Counter[str]] = defaultdict(Counter)
    signals: dict[str, dict[str, list[int]]] = defaultdict(dict)
    columns = (kept["source"].to_pylist(), documents.byte_lengths(kept).tolist(), kept["meta"].to_pylist())
    for source, size, meta in zip(*columns, strict=True):
        lengths[source][f"{size.bit_length():02d}"] += 1
        if '"signals"' not in meta and '"language"' not in meta:
            continue
        facts = rows.facts_of(meta)
        found = facts.get("signals", {})
        language = found.get("language", facts.get("language"))
        if isinstance(language, str):
            languages[source][language] += 1
        for name, value in found.items():
            if isinstance(value, int | float):
                bins = signals[source].setdefault(name, [0] * BINS)
                bins[min(BINS - 1, max(0, int(value * BINS)))] += 1
    return {
        source: {"lengths": dict(sorted(lengths[source].items())), "languages": dict(sorted(languages[source].items()))}
        | {"signals": dict(sorted(signals[source].items()))}
        for source in sorted(lengths)
    }


def total(parts: list[Profile]) -> Profile:
    """The sum of profiles."""
    made: Profile = {}
    for part in parts:
        for source, facts in part.items():
            into = made.setdefault(source, {"lengths": {}, "languages": {}, "signals": {}})
            for kind in ("lengths", "languages"):
                for key, count in facts[kind].items():
                    into[kind][key] = into[kind].get(key, 0) + count
            for name, bins in facts["signals"].items():
                before = into["signals"].get(name, [0] * BINS)
                into["signals"][name] = [a + b for a, b in zip(before, bins, strict=True)]
    return {
        source: {kind: dict(sorted(facts.items())) for kind, facts in made[source].items()} for source in sorted(made)
    }
