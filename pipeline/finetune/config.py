"""Settings of the finetune stage, and those that it shares with the reward stage. Schemas only."""

from cluster.fields import Config, execution, result
from models.optim_config import OptimConfig


class ReplicasConfig(Config):
    """Over what a step is spread where replicas are plain actors: shards, which fix its bits, and replicas."""

    logical_shards: int = result(
        4, "Micro-batches of a step, whatever the number of replicas: they fix the bits", unit="shards", ge=1, le=4096
    )
    threads: int = result(1, "Threads of one replica; they change the bits of a matrix product", unit="threads", ge=1)
    replicas: int = execution(2, "Replicas that share a step; each is a plain Ray actor", unit="replicas", ge=1)
    checkpoint_every: int = execution(
        50, "Steps between checkpoints, for when every replica is lost", unit="steps", ge=1
    )


class FinetuneConfig(ReplicasConfig):
    """Which dialogues to learn from, for how long, and on how many replicas."""

    sources: tuple[str, ...] = result(
        ("chats", "questions"), "Sources whose rows hold turns", unit="none", min_length=1
    )
    languages: tuple[str, ...] = result(
        ("english",), "Languages of questions to keep; empty keeps all. A row without one is kept", unit="none"
    )
    tokens: int = result(
        131_072, "Training budget over all epochs, prompts and padding included", unit="tokens", ge=1024
    )
    epochs: int = result(
        1, "Times that each dialogue is seen; the budget is shared out among them", unit="epochs", ge=1
    )
    mask_prompts: bool = result(True, "Train on the assistant's tokens only; False trains on every token", unit="none")
    batch: int = result(8, "Packed sequences a step", unit="sequences", ge=1)
    optim: OptimConfig = result(
        OptimConfig(peak_lr=1e-3, warmup_fraction=0.1, decay_fraction=0.9, final_lr_fraction=0.1, weight_decay=0.01),
        "Optimiser",
        unit="none",
    )
    heldout_tokens: int = result(4096, "Held-out tokens behind each loss", unit="tokens", ge=1)
    curve_points: int = result(5, "Points of the held-out curve, spread over the steps", unit="points", ge=1, le=1000)
    samples: int = result(12, "Held-out prompts that both models answer for the report", unit="prompts", ge=0, le=1000)
    sample_tokens: int = result(40, "Longest sampled reply", unit="tokens", ge=1)
    temperature: float = result(0.7, "Temperature of the sampled replies; 0 is greedy", unit="none", ge=0, le=2)
