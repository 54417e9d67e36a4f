"""Settings of the pretrain stage. Schemas only. docs/training.md has the source of each choice."""

from typing import Any, Literal, Self

from pydantic import field_validator, model_validator

from cluster.errors import ConfigError
from cluster.fields import Config, execution, result
from models.layout_config import Layout
from pipeline.pretrain.guard_config import GuardConfig
from pipeline.pretrain.start_config import StartConfig
from pipeline.pretrain.swap_config import SwapConfig

BatchStages = tuple[tuple[float, int], ...]
ContextStages = tuple[tuple[float, int], ...]
Tracker = Literal["tensorboard", "wandb", "mlflow"]

IN_TRIALS = (
    "logical_shards", "context_ramp", "micro_batch", "precision", "compile", "recompute", "z_weight", "label_smoothing",
    "vocab_chunk", "token_dropout", "fim_rate", "start", "guard",
)  # fmt: skip
"""Fields that the search's trials train with too: all but budget, batch, swaps, curve, and where it runs."""


class PretrainConfig(Config):
    """How long to train, in which batches, by which loss, and on how many replicas."""

    tokens: int = result(
        1_700_000, "Training budget; the last step may pass it by less than a batch", unit="tokens", ge=1
    )
    batch: BatchStages = result(
        ((0.0, 8), (0.5, 16)),
        "Batch schedule where the search does not choose one: pairs of (token fraction, sequences a step)",
        unit="(fraction, sequences)",
        min_length=1,
    )
    context_ramp: ContextStages = result(
        (),
        "Length of the sequences as it grows: pairs of (token fraction, tokens); empty is the whole context throughout."
        " A window of the context is cut into shorter sequences, so a step has as many tokens as without",
        unit="(fraction, tokens)",
    )
    logical_shards: int = result(
        4, "Micro-batches of a step, whatever the number of replicas: they fix the bits", unit="shards", ge=1, le=4096
    )
    micro_batch: int | Literal["auto"] = result(
        0,
        "Windows of one forward pass inside a shard; 0 is the whole shard. `auto` probes for the most that fit into"
        " memory_bytes, once, and run.toml keeps what was found",
        unit="windows",
    )
    threads: int = result(1, "Threads of one replica; they change the bits of a matrix product", unit="threads", ge=1)
    precision: Literal["fp32", "bf16"] = result(
        "fp32", "Numbers in which products are computed; bf16 by autocast. Weights and sums stay float32", unit="none"
    )
    layout: Layout = result(
        Layout(),
        "How the work of one replica is laid out over its workers: fsdp, tensor, pipeline, expert. They change the"
        " order of sums, and so bits. `replicas` may stand here too",
        unit="none",
    )
    compile: bool = result(False, "torch.compile of the blocks; it fuses, and so changes bits", unit="none")
    recompute: bool = execution(
        False, "Make each block's activations again in the backward pass: less memory, a third more work", unit="none"
    )
    z_weight: float = result(0.0, "Weight of the z-loss, (log of the softmax's denominator)^2", unit="none", ge=0)
    label_smoothing: float = result(
        0.0, "Share of the target that is spread evenly over the vocabulary", unit="fraction", ge=0, lt=1
    )
    vocab_chunk: int = result(
        0, "Columns of the vocabulary whose logits stand in memory at a time; 0 is all of them", unit="tokens", ge=0
    )
    token_dropout: float = result(
        0.0, "Share of the input tokens that read <|pad|>; targets stay as they are", unit="fraction", ge=0, lt=1
    )
    fim_rate: float = result(
        0.0, "Share of the documents of a window that are set as prefix, suffix, middle", unit="fraction", ge=0, le=1
    )
    start: StartConfig = result(StartConfig(), "Where the first weights come from", unit="none")
    guard: GuardConfig = result(GuardConfig(), "What a spike of the loss or the gradient leads to", unit="none")
    swaps: tuple[SwapConfig, ...] = result((), "Fields that have other values from a step on", unit="none")
    curve_points: int = result(12, "Points of the held-out curve, spread over the steps", unit="points", ge=0, le=1000)
    curve_windows: int = result(24, "Held-out windows of one context behind each point", unit="windows", ge=1)
    replicas: int = execution(
        2, "Replicas that share a step; each is a Ray Train run of its own", unit="replicas", ge=1
    )
    memory_bytes: int = execution(
        0, "Memory of one replica for `micro_batch = auto`; 0 is its share of what is free", unit="bytes", ge=0
    )
    checkpoint_every: int = execution(
        40, "Steps between checkpoints, for when every replica is lost", unit="steps", ge=1
    )
    keep_checkpoints: int = execution(2, "The newest checkpoints that are kept", unit="checkpoints", ge=1)
    keep_every: int = execution(
        0, "Checkpoints at multiples of so many steps are kept beside the newest; 0 keeps none", unit="steps", ge=0
    )
    trackers: tuple[Tracker, ...] = execution((), "Where each step's metrics go beside the report", unit="none")

    @property
    def partial_sums(self) -> int:
        """Sums of gradients that a replica holds at once while it adds up its shards (models/shards.py)."""
        return max(1, -(-self.logical_shards // self.replicas)).bit_length()

    @field_validator("micro_batch", mode="plain")
    @classmethod
    def _windows(cls, value: object) -> object:
        """Plain, since a union of types would be told by its branches."""
        if value == "auto" or (type(value) is int and value >= 0):
            return value
        raise ConfigError(
            "pretrain.micro_batch", value, 'a number of windows from 0 on, or "auto"', "Give one of these"
        )

    @model_validator(mode="before")
    @classmethod
    def _replicas(cls, values: Any) -> Any:
        """The replicas of a layout are the section's own, which change no bits."""
        layout = values.get("layout") if isinstance(values, dict) else None
        if isinstance(layout, dict) and layout.get("replicas", 1) != 1:
            if values.get("replicas", layout["replicas"]) != layout["replicas"]:
                rule = f"pretrain.replicas = {values['replicas']} says otherwise"
                raise ConfigError("pretrain.layout.replicas", layout["replicas"], rule, "Say it in one place")
            inside = {key: value for key, value in layout.items() if key != "replicas"}
            return {**values, "replicas": layout["replicas"], "layout": inside}
        return values

    @model_validator(mode="after")
    def _fits(self) -> Self:
        starts = [start for start, _ in self.context_ramp]
        if starts and (starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] >= 1):
            rule = "token fractions begin at 0.0 and go up below 1.0"
            raise ConfigError("pretrain.context_ramp", self.context_ramp, rule, "Sort the pairs")
        if self.keep_every % self.checkpoint_every:
            raise ConfigError(
                "pretrain.keep_every",
                self.keep_every,
                f"a multiple of pretrain.checkpoint_every = {self.checkpoint_every}, as no other step has a checkpoint",
                "Change one of them",
            )
        if self.layout.workers > 1 and (self.compile or self.micro_batch):
            field, value = ("compile", True) if self.compile else ("micro_batch", self.micro_batch)
            rule = (
                f"a replica of {self.layout.workers} workers is not compiled, and layout.micro_batches cuts its shards"
            )
            raise ConfigError(f"pretrain.{field}", value, rule, "Leave it as it is by default")
        return self
