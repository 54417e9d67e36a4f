"""How a replica's work is laid out over its workers, and what cannot be laid out so. Schemas only: no torch.

A replica is fsdp x tensor x pipeline x expert workers. Workers along fsdp and expert see different rows of a logical
shard, those along tensor and pipeline the same. What each axis does is in models/parallel/.
"""

from typing import Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, model_validator

from models.config import GPTConfig, choice

IN_PIECES = ("adamw", "lion", "sgd", "muon")  # optimisers that step a weight of which each worker holds a piece


class LayoutError(ValueError):
    """A layout that cannot work."""

    def __init__(self, field: str, value: object, rule: str, remedy: str) -> None:
        super().__init__(f"layout.{field} = {value}: {rule}. {remedy}.")
        self.field, self.value, self.rule, self.remedy = f"layout.{field}", value, rule, remedy


class Seat(NamedTuple):
    """A worker's coordinates in its replica; the last counts fastest."""

    pipeline: int
    fsdp: int
    expert: int
    tensor: int


class Layout(BaseModel):
    """Replicas, and the workers of one: `{replicas = 2, tensor = 2, pipeline = 2}` is eight processes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    replicas: int = choice(1, "whole copies of the model; bits do not depend on their number", "replicas", ge=1)
    fsdp: int = choice(1, "workers that share out rows, weights, gradients and moments", "workers", ge=1)
    tensor: int = choice(1, "workers that share out heads, hidden channels and vocabulary", "workers", ge=1)
    sequence: bool = choice(False, "tensor workers share out the places of the residual stream too")
    pipeline: int = choice(1, "workers that share out the blocks", "workers", ge=1)
    expert: int = choice(1, "workers that share out rows and experts", "workers", ge=1)
    micro_batches: int = choice(1, "passes that a worker's rows of a logical shard are cut into", "passes", ge=1)
    schedule: Literal["gpipe", "1f1b", "interleaved"] = choice("1f1b", "order of a pipeline's passes")
    interleave: int = choice(1, "stages of a worker, where the schedule is interleaved", "stages", ge=1)

    @property
    def workers(self) -> int:
        """Processes of one replica."""
        return self.fsdp * self.tensor * self.pipeline * self.expert

    @property
    def data(self) -> int:
        """Workers that see different rows."""
        return self.fsdp * self.expert

    @property
    def passes(self) -> int:
        """Passes that the rows of a logical shard are cut into."""
        return self.data * self.micro_batches

    @property
    def stages(self) -> int:
        """Pieces that the blocks are cut into; stage s is worker s mod pipeline's."""
        return self.pipeline * self.interleave

    def seat(self, rank: int) -> Seat:
        """The coordinates of a replica's worker."""
        rank, tensor = divmod(rank, self.tensor)
        rank, expert = divmod(rank, self.expert)
        pipeline, fsdp = divmod(rank, self.fsdp)
        return Seat(pipeline, fsdp, expert, tensor)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        passes, p, interleaved = self.micro_batches, self.pipeline, self.schedule == "interleaved"
        need = self._need
        need("sequence", not self.sequence or self.tensor > 1, "it cuts places over tensor workers", "Take tensor 2")
        rule = f"a worker has several stages in schedule interleaved, and one in {self.schedule}"
        need("interleave", (self.interleave > 1) == interleaved, rule, "Take 2 with interleaved, 1 with the others")
        need("schedule", not interleaved or p > 1, "there is no pipeline", "Take pipeline 2, or 1f1b")
        full = self.schedule != "1f1b" or passes >= p
        need("micro_batches", full, f"1F1B fills {p} workers with as many passes", f"Take at least {p}, or gpipe")
        rounds = not interleaved or passes % p == 0
        need("micro_batches", rounds, f"interleaved passes go in rounds of {p}", f"Take a multiple of {p}")
        return self

    def check(self, config: GPTConfig, rows: int, optimizer: str = "adamw") -> None:
        """Raise LayoutError where a shape, the rows of a logical shard or an optimiser cannot be laid out so."""
        need, tensor, experts = self._need, self.tensor, config.experts.count
        cut = {"heads": config.heads, "kv_heads": config.key_heads, "hidden": config.hidden}
        for name, size in (cut | ({"context": config.context} if self.sequence else {})).items():
            need("tensor", size % tensor == 0, f"{name} = {size} is cut over tensor workers", "Take a divisor")
        rule = f"layers = {config.layers} are cut into pipeline x interleave = {self.stages} stages"
        need("pipeline", config.layers % self.stages == 0, rule, "Take a divisor")
        need("expert", self.expert == 1 or experts > 0, "the model has no experts", "Take fsdp, or set experts.count")
        need("expert", experts % self.expert == 0, f"experts = {experts} are cut over its workers", "Take a divisor")
        rule = f"a logical shard's {rows} rows are cut into fsdp x expert x micro_batches = {self.passes} passes"
        need("micro_batches", rows % self.passes == 0, rule, "Change it, the batch or the logical shards")
        whole = not self.sequence or (config.dropout == 0 and config.norm != "batch")
        need("sequence", whole, "dropout masks and batch statistics are of whole rows", "Take sequence = false")
        rule = "each head draws its own mask, and a worker would draw those of others"
        need("tensor", tensor == 1 or config.attention_dropout == 0, rule, "Set model.attention_dropout = 0")
        field = "fsdp" if self.data > 1 else "tensor"
        rule = f"optimiser {optimizer} needs whole matrices, and a worker holds pieces"
        stepped = self.data * tensor == 1 or optimizer in IN_PIECES
        need(field, stepped, rule, f"Take one of {', '.join(IN_PIECES)}, or pipeline and replicas alone")

    def _need(self, field: str, holds: bool, rule: str, remedy: str) -> None:
        if not holds:
            raise LayoutError(field, getattr(self, field), rule, remedy)
