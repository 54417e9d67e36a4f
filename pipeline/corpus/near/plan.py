"""The search for near-duplicates from band keys to fates: it plans the tasks, and keeps no document."""

from collections import Counter
from typing import Any

from cluster.data import Task
from cluster.storage import open_storage
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.near import earlier, keys, tasks
from pipeline.corpus.work import Runner, Work
from pipeline.stage import StageContext

EDGES_A_TASK = 1 << 22  # of a round, so that small graphs are solved at once, and large ones in bounded memory


def near(ctx: StageContext, run: Runner, config: CorpusConfig) -> None:
    """Find near-duplicates among all documents, and write who leaves; counts them, and warns of heavy losses."""
    dedup = config.dedup
    old = [earlier.pieces(dedup, path) for path in dedup.against]
    ctx.folder.write_json(earlier.RUNS, [str(open_storage(path)) for path in dedup.against])

    def phase(label: str, work: Work, name: str, arguments: list[dict[str, Any]]) -> list[dict[str, Any]]:
        made = [Task(f"{tasks.WORK}/{name}/{i:05d}.json", own, 1) for i, own in enumerate(arguments)]
        run(label, work, made, "pieces")
        return [ctx.folder.read_json(task.name) for task in made]

    every = range(config.pieces)
    signed = phase("signing", tasks.sign, "signed", [{"n": n} for n in every])
    sent = phase(
        "sending earlier keys", earlier.send, "sent", [{"run": r, "n": n} for r, m in enumerate(old) for n in range(m)]
    )
    met = phase("comparing band keys", tasks.bucket, "met", [{"part": p, "old": old} for p in every])
    width = min(config.pieces, max(1, -(-_sum([*signed, *met], "edges") // EDGES_A_TASK)))
    moved = _sum([*signed, *sent, *met], "moved")
    unsettled, number = 1, 0
    while unsettled and number < dedup.rounds:
        number += 1
        arguments = [{"round": number, "task": task, "tasks": width} for task in range(width)]
        told = phase(f"finding clusters, round {number}", tasks.contract, f"contracted/{number:04d}", arguments)
        unsettled = _sum(told, "unsettled") if width > 1 else 0  # one task sees all edges
        moved += _sum(told, "moved")
    if unsettled:
        ctx.event("clusters_unfinished", step="near_dup", rounds=number, unsettled=unsettled)
    ends = [{"n": n, "rounds": number, "tasks": width} for n in every]
    texts = _sum(phase("gathering clusters", tasks.members, "gathered", ends), "text_bytes_moved")
    judged = phase("comparing near-duplicates", tasks.judge, "judged", [{"part": p} for p in every])
    documents = _sum(signed, "documents")
    ctx.count(
        near_dup={
            **{fact: _sum(judged, fact) for fact in ("clusters", "members", "compared")},
            "documents": documents,
            "largest_cluster": max(told["largest"] for told in judged),
            "removed": _add(told["removed"] for told in judged),
            "rounds": number,
            "converged": not unsettled,
            "bytes_moved": moved,
            "bytes_moved_a_document": round(moved / max(1, documents), 1),
            "text_bytes_moved": texts,
            "lost": _losses(ctx, dedup.max_loss, signed, judged),
            "scheme": keys.scheme(dedup)["signature"],
        }
    )


def _losses(
    ctx: StageContext, most: float, signed: list[dict[str, Any]], judged: list[dict[str, Any]]
) -> dict[str, float]:
    """The share of its bytes that each source lost; an event for each that lost too much."""
    before, gone = _add(told["bytes"] for told in signed), _add(told["lost"] for told in judged)
    lost = {source: round(gone.get(source, 0) / max(1, size), 4) for source, size in before.items()}
    for source, share in lost.items():
        if share > most:
            ctx.event("source_lost", step="near_dup", source=source, share=share)
    return lost


def _sum(told: list[dict[str, Any]], fact: str) -> int:
    return sum(one[fact] for one in told)


def _add(parts: Any) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(sorted(total.items()))
