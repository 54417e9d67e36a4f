"""The pretrain stage: each replica is a Ray Train run of its own."""

from collections.abc import Callable
from typing import Any

from cluster.launch import run_replicas
from models.optim_config import OptimConfig
from pipeline.pretrain import elastic
from pipeline.pretrain.curve import write_curve
from pipeline.pretrain.language import make_task
from pipeline.pretrain.swap import missed
from pipeline.stage import StageContext


def run(ctx: StageContext) -> None:
    """Train with the search's choice; leave ``model/``, ``metrics/`` (steps, held-out curve) and ``mixture.json``."""
    config, pretrain = ctx.config, ctx.config.pretrain
    best = ctx.inputs["search"].read_json("best.json")
    optim = OptimConfig.model_validate(
        {**config.optim.model_dump(), "peak_lr": best["peak_lr"] or config.optim.peak_lr}
    )

    health = config.cluster.health_seconds

    def launch(target: str, configs: list[dict[str, Any]], name: str, poll: Callable[[], None]) -> None:
        scratch = str(ctx.folder.storage.path(ctx.folder.key("train")))
        run_replicas(
            target,
            configs,
            host="train",
            num_cpus=1,
            name=name,
            storage=scratch,
            poll=poll,
            health_seconds=health,
            workers=pretrain.layout.workers,
        )
        ctx.folder.storage.delete_folder(ctx.folder.key("train"))

    kwargs: dict[str, Any] = {
        "model": config.model.model_dump(),
        "optim": optim.model_dump(),
        "tokens": pretrain.tokens,
        "batch": best["batch"] or pretrain.batch,
        "shards": pretrain.logical_shards,
        "seed": config.seed,
        "curve_points": pretrain.curve_points,
        "curve_windows": pretrain.curve_windows,
        "pretrain": pretrain.model_dump(mode="json"),
    }
    elastic.train(
        ctx,
        "pipeline.pretrain.language:make_task",
        kwargs,
        replicas=pretrain.replicas,
        threads=pretrain.threads,
        checkpoint_every=pretrain.checkpoint_every,
        launch=launch,
        label="pretrain",
        keep=pretrain.keep_checkpoints,
        keep_every=pretrain.keep_every,
        trackers=pretrain.trackers,
        layout=pretrain.layout,
    )
    for name, at in missed(ctx.folder, pretrain.swaps, ctx.folder.read_jsonl("metrics/steps.jsonl")).items():
        ctx.event("swap_missed", what=f"the run ended before the swap {name}, asked for at {at:g}")
    task = make_task(ctx.run, **kwargs)
    ctx.folder.write_json("mixture.json", task.order.got())
    counts = write_curve(ctx.folder, ctx.inputs["tokens"], config)
    parameters, flops = config.model.parameters(), config.model.flops_per_token() * counts["tokens"]
    ctx.count(**counts, parameters=parameters, flops=round(flops))
