"""Runs an evaluation on Ray: a few workers, each with the model, take the pieces of work in turn.

A worker that dies is replaced and its piece done again, with the same result; a piece that stands is not made again.
"""

from typing import Any

from cluster.actors import Pool
from pipeline.evaluate.chunks import Chunk, Material, Sources, load_material
from pipeline.evaluate.weights import check_shape, load_gpt, load_shape
from pipeline.stage import StageContext, StageFolder


class Scorer:
    """Holds a model and the material; writes the pieces that it is given."""

    def __init__(self, folder: StageFolder, trained: StageFolder, sources: Sources) -> None:
        import torch

        # The material is read again here: a tokenizer that was pickled forgets that special strings are text.
        self.folder, self.material, self.model = folder, load_material(sources), load_gpt(trained)
        torch.set_num_threads(sources.config.threads)

    def score(self, chunk: Chunk) -> int:
        """Write the chunk's piece; the number of its rows."""
        rows = self.material.rows(self.model, chunk)
        self.folder.write_jsonl(chunk.piece, rows)
        return len(rows)


def run(ctx: StageContext) -> None:
    """Score one trained model; `ctx.name` is ``evaluate@STAGE``."""
    stage, config = ctx.name.partition("@")[2], ctx.config.evaluate
    trained = ctx.inputs[stage]
    shape = load_shape(trained)
    sources = Sources(ctx.inputs["corpus"], ctx.inputs["tokens"], config, shape.context, ctx.config.seed)
    material = load_material(sources)
    check_shape(shape, material.tokenizer, stage)
    chunks = material.chunks()
    missing = [c for c in chunks if not ctx.folder.done(c.piece)]
    if missing:
        _score(ctx, trained, sources, missing)
    rows = {c: ctx.folder.read_jsonl(c.piece) for c in chunks}
    results = {"stage": stage, **material.results(rows)}
    ctx.folder.write_json("results.json", results)
    ctx.count(**_counts(material, results))


def _score(ctx: StageContext, trained: StageFolder, sources: Sources, chunks: list[Chunk]) -> None:
    """Hand the chunks out, one at a time to each worker."""
    size = min(sources.config.workers, len(chunks))
    with (
        Pool(Scorer, size, ctx.folder, trained, sources) as pool,
        ctx.progress("scoring", sum(c.last - c.first for c in chunks), "items") as bar,
    ):
        for rows in pool.map("score", chunks):
            bar.advance(rows)
        if pool.restarts:
            ctx.event("actor_lost", role="scorer", times=pool.restarts, why=pool.last_death)


def _counts(material: Material, results: dict[str, Any]) -> dict[str, Any]:
    total = results["text"]["total"]
    return {
        "heldout_bytes": total["bytes"],
        "heldout_bytes_left_out": total["left_out_bytes"],
        "heldout_tokens": total["tokens"],
        "windows": len(material.windows),
        "items": {kind: len(items) for kind, items in material.items.items()},
        "too_long": {kind: {k: t["too_long"] for k, t in by.items()} for kind, by in results["tasks"].items()},
    }
