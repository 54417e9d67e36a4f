"""The finetune stage on Ray: the same elastic replicas as pretraining, each a plain actor, which starts sooner."""

from cluster.launch import actor_host
from pipeline.finetune import select, sft
from pipeline.finetune.packing import from_bytes, to_bytes
from pipeline.finetune.replicas import train
from pipeline.stage import StageContext


def run(ctx: StageContext) -> None:
    """Leave ``model/``, ``metrics/steps.jsonl``, ``dialogues.json``, ``heldout.json`` and ``samples.jsonl``."""
    _prepare(ctx)
    ctx.count(**ctx.folder.read_json("dialogues.json"))
    train(ctx, "pipeline.finetune.sft:make_task", ctx.config.finetune, actor_host)
    _compare(ctx)


def _prepare(ctx: StageContext) -> None:
    """Choose and pack the dialogues, once for all replicas; ``work/`` goes when the stage commits."""
    if all(ctx.folder.done(p) for p in (sft.TRAIN, sft.HELDOUT, "work/prompts.json", "dialogues.json")):
        return
    corpus, tokens = ctx.inputs["corpus"], ctx.inputs["tokens"]
    made = select.material(corpus, tokens, ctx.config.finetune, ctx.config.model.context, ctx.config.seed)
    ctx.folder.write_bytes(sft.TRAIN, to_bytes(made.train), rows=len(made.train))
    ctx.folder.write_bytes(sft.HELDOUT, to_bytes(made.heldout), rows=len(made.heldout))
    ctx.folder.write_json("work/prompts.json", made.prompts)
    ctx.folder.write_json("dialogues.json", made.counts)


def _compare(ctx: StageContext) -> None:
    """Held-out loss, and replies to the same held-out prompts, of the model before and after."""
    if ctx.folder.done("heldout.json") and ctx.folder.done("samples.jsonl"):
        return
    rows = from_bytes(ctx.folder.read_bytes(sft.HELDOUT))
    prompts = ctx.folder.read_json("work/prompts.json")
    loss, samples = sft.compare(
        {"before": ctx.inputs["pretrain"], "after": ctx.folder},
        ctx.inputs["tokens"],
        ctx.config.finetune,
        rows,
        prompts,
        ctx.config.seed,
    )
    ctx.folder.write_jsonl("samples.jsonl", samples)
    ctx.folder.write_json("heldout.json", loss)
