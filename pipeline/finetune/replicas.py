"""Training by a stage's own section on elastic replicas: what finetune and reward share. Knows no task and no Ray."""

from pipeline.finetune.config import ReplicasConfig
from pipeline.pretrain import elastic
from pipeline.stage import StageContext


def train(ctx: StageContext, task: str, config: ReplicasConfig, launch: elastic.Launch) -> None:
    """Leave ``model/`` and ``metrics/steps.jsonl``. Workers call ``task(run, config=.., seed=.., fingerprint=..)``."""
    kwargs = {"config": config.model_dump(mode="json"), "seed": ctx.config.seed, "fingerprint": ctx.folder.fingerprint}
    elastic.train(
        ctx,
        task,
        kwargs,
        replicas=config.replicas,
        threads=config.threads,
        checkpoint_every=config.checkpoint_every,
        launch=launch,
        label=ctx.name,
    )
