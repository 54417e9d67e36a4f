"""Settings of the rlhf stage. Schemas only."""

from typing import Literal

from cluster.fields import Config, execution, result
from models.optim_config import OptimConfig


class SamplingConfig(Config):
    """Prompts and replies. A chunk is the unit of generation and of scoring: its shape fixes the bits."""

    sources: tuple[str, ...] = result(
        ("chats",), "Sources whose first user turns are prompts", unit="none", min_length=1
    )
    prompt_tokens: int = result(32, "Longest prompt, with its chat markers", unit="tokens", ge=4)
    prompts: int = result(2_000, "Most training prompts", unit="prompts", ge=1)
    heldout_prompts: int = result(64, "Most prompts that are only evaluated", unit="prompts", ge=1)
    reply_tokens: int = result(32, "Longest reply", unit="tokens", ge=2)
    temperature: float = result(1.0, "Temperature of sampling, and of every log-probability", unit="none", gt=0, le=2)
    chunk: int = result(16, "Prompts of one chunk", unit="prompts", ge=1)
    chunks: int = result(4, "Chunks of one iteration", unit="chunks", ge=1)


class KlConfig(Config):
    """How far the policy may go from the reference. KL in nats a reply."""

    bound: float = result(10.0, "The mean KL of the model that is kept stays at or below this", unit="nats", gt=0)
    brake: float = result(0.6, "Share of the bound from which only the KL penalty trains", unit="fraction", gt=0, le=1)
    target: float = result(4.0, "Mean KL that the coefficient steers to", unit="nats", gt=0)
    coefficient: float = result(0.03, "First coefficient of the penalty; 0 turns the penalty off", unit="1/nat", ge=0)
    rate: float = result(0.5, "Speed of the adaptive coefficient; 0 keeps it fixed", unit="1/iteration", ge=0, le=1)
    least: float = result(0.002, "Smallest adaptive coefficient", unit="1/nat", ge=0)
    most: float = result(1.0, "Largest adaptive coefficient", unit="1/nat", gt=0)


class PpoConfig(Config):
    """The losses, and the optimisers of policy and value function."""

    gamma: float = result(1.0, "Discount", unit="none", gt=0, le=1)
    lam: float = result(0.95, "Lambda of the advantage estimates", unit="none", ge=0, le=1)
    clip: float = result(0.2, "Clip range of the probability ratio", unit="none", gt=0)
    value_clip: float = result(0.2, "Clip range of a value's step", unit="none", gt=0)
    epochs: int = result(2, "Passes over an iteration's replies", unit="epochs", ge=1)
    minibatch: int = result(32, "Replies of one optimiser step", unit="replies", ge=1)
    policy: OptimConfig = result(
        OptimConfig(peak_lr=2e-4, warmup_fraction=0.02, decay_fraction=0.5, final_lr_fraction=0.1, weight_decay=0.0),
        "Optimiser of the policy",
        unit="none",
    )
    value: OptimConfig = result(
        OptimConfig(peak_lr=5e-4, warmup_fraction=0.02, decay_fraction=0.5, final_lr_fraction=0.1, weight_decay=0.0),
        "Optimiser of the value function",
        unit="none",
    )


class RlhfConfig(Config):
    """Proximal policy optimisation from the fine-tuned model."""

    iterations: int = result(24, "Rounds of generation and learning", unit="iterations", ge=1)
    headline: Literal["auto", "rule", "model"] = result(
        "auto",
        "Reward that trains: auto takes the reward model where its accuracy's lower bound beats length",
        unit="none",
    )
    sampling: SamplingConfig = result(SamplingConfig(), "Prompts and replies", unit="none")
    kl: KlConfig = result(KlConfig(), "Distance to the reference", unit="none")
    ppo: PpoConfig = result(PpoConfig(), "Losses and optimisers", unit="none")
    evaluate_every: int = result(6, "Iterations between evaluations on held-out prompts", unit="iterations", ge=1)
    samples: int = result(16, "Held-out prompts whose replies are kept for the report", unit="prompts", ge=0)
    threads: int = result(1, "Threads of the learner; they change the bits of a matrix product", unit="threads", ge=1)
    rollout_threads: int = result(1, "Threads of each rollout, reward and reference actor", unit="threads", ge=1)
    rollout_actors: int = execution(2, "Actors that generate", unit="actors", ge=1)
    checkpoint_every: int = execution(
        6, "Iterations between checkpoints of policy, value and optimisers", unit="iterations", ge=1
    )
