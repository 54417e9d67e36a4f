"""The reward stage on Ray: elastic replicas, each a plain actor, then the held-out accuracy in the driver."""

from cluster.launch import actor_host
from pipeline.finetune.replicas import train
from pipeline.reward import measure, ranking
from pipeline.stage import StageContext


def run(ctx: StageContext) -> None:
    """Leave ``model/``, ``metrics/steps.jsonl``, ``pairs.json`` and ``accuracy.json``."""
    config = ctx.config.reward
    if not (ctx.folder.done(ranking.PAIRS) and ctx.folder.done("pairs.json")):
        made = measure.material(ctx.inputs["corpus"], ctx.inputs["tokens"], config, ctx.config.seed)
        ctx.folder.write_json(ranking.PAIRS, made.work)
        ctx.folder.write_json("pairs.json", made.counts)
    ctx.count(**ctx.folder.read_json("pairs.json"))
    train(ctx, "pipeline.reward.ranking:make_task", config, actor_host)
    if not ctx.folder.done("accuracy.json"):
        work = ctx.folder.read_json(ranking.PAIRS)
        ctx.folder.write_json("accuracy.json", measure.accuracy_of(ctx.folder, work, config, ctx.config.seed))
