"""Settings of the pretrain stage. Schemas only."""

from cluster.fields import Config, execution, result

BatchStages = tuple[tuple[float, int], ...]


class PretrainConfig(Config):
    """How long to train, in which batches, and on how many replicas."""

    tokens: int = result(
        1_700_000, "Training budget; the last step may pass it by less than a batch", unit="tokens", ge=1
    )
    batch: BatchStages = result(
        ((0.0, 8), (0.5, 16)),
        "Batch schedule where the search does not choose one: pairs of (token fraction, sequences a step)",
        unit="(fraction, sequences)",
        min_length=1,
    )
    logical_shards: int = result(
        4, "Micro-batches of a step, whatever the number of replicas: they fix the bits", unit="shards", ge=1, le=4096
    )
    threads: int = result(1, "Threads of one replica; they change the bits of a matrix product", unit="threads", ge=1)
    curve_points: int = result(12, "Points of the held-out curve, spread over the steps", unit="points", ge=0, le=1000)
    curve_windows: int = result(24, "Held-out windows of one context behind each point", unit="windows", ge=1)
    replicas: int = execution(
        2, "Replicas that share a step; each is a Ray Train run of its own", unit="replicas", ge=1
    )
    checkpoint_every: int = execution(
        40, "Steps between checkpoints, for when every replica is lost", unit="steps", ge=1
    )
