"""Settings of the reward stage. Schemas only."""

from cluster.fields import result
from models.optim_config import OptimConfig
from pipeline.finetune.config import ReplicasConfig


class RewardConfig(ReplicasConfig):
    """Which rated chats become pairs, and how the model learns from them."""

    sources: tuple[str, ...] = result(("chats",), "Sources whose rows hold ratings", unit="none", min_length=1)
    min_turns: int = result(2, "Turns that a rated chat must have", unit="turns", ge=1)
    default_rating: int = result(5, "Chats with every rating at this value were never rated", unit="points", ge=0)
    min_gap: float = result(2.0, "Least difference of two mean ratings that makes a pair", unit="points", gt=0)
    length_tolerance: float = result(
        0.05, "Most that the two chats' whole lengths may differ, as a share of the longer", unit="fraction", ge=0, lt=1
    )
    uses: int = result(3, "Pairs that one chat may stand in", unit="pairs", ge=1)
    heldout_share: float = result(
        0.3,
        "Share of the kept chats, by hash, that only test the model, as all held-out ones do",
        unit="fraction",
        gt=0,
        lt=1,
    )
    max_tokens: int = result(128, "Last tokens of a chat that the model reads", unit="tokens", ge=8)
    pairs: int = result(640, "Pairs that training sees, again in a new order where there are fewer", unit="pairs", ge=1)
    init: str = result(
        "finetune", "Stage whose weights the body begins with", unit="none", pattern="^(finetune|pretrain)$"
    )
    head_std: float = result(0.02, "Standard deviation of the new head's weights", unit="none", ge=0)
    batch: int = result(16, "Pairs a step", unit="pairs", ge=1)
    optim: OptimConfig = result(
        OptimConfig(peak_lr=1e-3, warmup_fraction=0.1, decay_fraction=0.9, final_lr_fraction=0.1, weight_decay=0.1),
        "Optimiser",
        unit="none",
    )
    test_chats: int = result(600, "Most held-out chats that are scored", unit="chats", ge=2)
    confidence: float = result(0.95, "Coverage of the accuracy's interval", unit="fraction", gt=0, lt=1)
    resamples: int = result(1000, "Bootstrap resamples of the held-out chats", unit="resamples", ge=100)
