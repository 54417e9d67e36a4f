"""From scored rows to `results.json`: rates with Wilson intervals, chance levels, bits per byte. Knows no model.

Interval: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.evaluate.perplexity import Excerpt, bits_per_byte, xz_bytes
from pipeline.evaluate.tasks import Item, Kind

TITLES = {"pretrain": "after pretraining", "finetune": "after finetuning", "rlhf": "after RLHF"}

Z95 = 1.959963984540054
Row = Mapping[str, Any]


def wilson(hits: int, count: int, z: float = Z95) -> tuple[float, float]:
    """The Wilson score interval of a rate; (0, 1) where nothing was counted."""
    if count == 0:
        return 0.0, 1.0
    rate, spread = hits / count, z * z / count
    middle = (rate + spread / 2) / (1 + spread)
    half = z * math.sqrt(rate * (1 - rate) / count + spread / (4 * count)) / (1 + spread)
    return (0.0 if hits == 0 else middle - half), (1.0 if hits == count else middle + half)


def rate(hits: int, count: int) -> dict[str, Any]:
    """A rate with its 95 % interval."""
    low, high = wilson(hits, count)
    return {"hits": hits, "items": count, "rate": hits / count if count else None, "low": low, "high": high}


def chance(items: Sequence[Item], kind: Kind) -> float | None:
    """What guessing gets: one of the choices at random; for a cloze, always the most frequent answer word."""
    if not items:
        return None
    if kind == "choice":
        return math.fsum(1 / len(i.continuations) for i in items) / len(items)
    words = Counter(i.continuations[i.answer] for i in items)
    return max(words.values()) / len(items)


def task(rows: Sequence[Row], items: Sequence[Item], kind: Kind) -> dict[str, Any]:
    """One kind of item in one setting. Items that no window can hold are counted as `too_long` and not scored."""
    scored = [r for r in rows if "logprobs" in r]
    facts: dict[str, Any] = {
        "too_long": len(rows) - len(scored),
        "context_cut": sum(r["cut"] > 0 for r in scored),
        "shots": {str(k): n for k, n in sorted(Counter(r["shots"] for r in scored).items())},
        "chance": chance(items, kind),
    }
    if kind == "cloze":
        nats = -math.fsum(r["logprobs"][0] for r in scored)
        facts["exact"] = rate(sum(r["exact"] for r in scored), len(scored))
        facts["nats_per_word"] = nats / len(scored) if scored else None
        return facts
    for pick in ("sum", "per_byte"):
        facts[pick] = rate(sum(r["picks"][pick] == r["answer"] for r in scored), len(scored))
    return facts


def _text(nats: float, tokens: int, data: bytes, documents: int, left_out: int) -> dict[str, Any]:
    packed = xz_bytes(data)
    return {
        "documents": documents,
        "bytes": len(data),
        "left_out_bytes": left_out,
        "tokens": tokens,
        "nats": nats,
        "bits_per_byte": bits_per_byte(nats, len(data)),
        "xz_bytes": packed,
        "xz_bits_per_byte": 8 * packed / len(data),
        "ratio": nats / math.log(2) / (8 * packed),
    }


def text(rows: Sequence[Row], excerpts: Sequence[Excerpt]) -> dict[str, Any]:
    """Bits per byte by source and in total; xz packs each source, and for the total all of them in the order given."""
    nats = {e.source: math.fsum(r["nats"] for r in rows if r["source"] == e.source) for e in excerpts}
    counted = Counter[str]()
    for row in rows:
        counted[row["source"]] += row["tokens"]
    for e in excerpts:
        assert counted[e.source] == len(e.tokens) - 1, f"{e.source}: {counted[e.source]} of {len(e.tokens) - 1} scored"
    sources = {
        e.source: _text(nats[e.source], counted[e.source], e.data, e.documents, e.left_out) for e in excerpts if e.data
    }
    total = _text(
        math.fsum(nats.values()),
        sum(counted.values()),
        b"".join(e.data for e in excerpts),
        sum(e.documents for e in excerpts),
        sum(e.left_out for e in excerpts),
    )
    return {"sources": sources, "total": total}
