"""What may be swapped while a run goes on, and the rules that a swap is checked by. Schemas only."""

from collections.abc import Iterable, Mapping
from typing import Any, Self, TypeVar, get_args

from pydantic import BaseModel, ValidationError, model_validator

from cluster.errors import ConfigError
from cluster.fields import Config, result
from models.config import GATED, Activation, GPTConfig
from models.layout_config import Layout, LayoutError
from models.optim_config import OptimConfig

OF_MODEL = ("activation", "dropout", "attention_dropout")
Value = bool | int | float | str
Schema = TypeVar("Schema", bound=BaseModel)


class SwapConfig(Config):
    """From a step, or from a token fraction on, some fields have other values."""

    at: float = result(
        ..., "When: below 1 a token fraction, from 1 on the step that is the first with it", unit="fraction", gt=0
    )
    set: dict[str, Value] = result(
        ..., "What: optim.FIELD, model.activation, model.dropout, model.attention_dropout or batch", unit="none",
        min_length=1,
    )  # fmt: skip

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.at >= 1 and self.at != int(self.at):
            raise ConfigError("pretrain.swaps.at", self.at, "a step is a whole number", f"Take {round(self.at)}")
        return self

    @property
    def comparable(self) -> bool:
        """Whether losses and states before and after are of one kind: where only settings of the optimiser change."""
        return all(name.startswith("optim.") and name != "optim.kind" for name in self.set)

    def due(self, step: int, fraction: float) -> bool:
        """Whether it holds from this step on, where ``fraction`` of the tokens is seen and it does not hold yet."""
        return fraction >= self.at if self.at < 1 else step == self.at


def section(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The fields of one section among dotted names."""
    return {key[len(name) + 1 :]: value for key, value in values.items() if key.startswith(f"{name}.")}


def check_swaps(
    swaps: Iterable[SwapConfig],
    model: GPTConfig,
    optim: OptimConfig,
    shards: int,
    layout: Layout,
    field: str = "pretrain.swaps",
) -> None:
    """Raise ConfigError for a swap that cannot be made of this model, optimiser and layout, each after those before."""
    for swap in swaps:
        for name, value in swap.set.items():
            if not _known(name):
                remedy = f"Take batch, {', '.join(f'model.{n}' for n in OF_MODEL)}, or a field of optim"
                raise ConfigError(f"{field}.set.{name}", value, "cannot be swapped while a run goes on", remedy)
        after = _checked(model, section(swap.set, "model"), f"{field}.set.model")
        if (after.activation in GATED) != (model.activation in GATED):
            rule = f"{model.activation} and {after.activation} differ in their weights: one is gated, one is not"
            same = [a for a in get_args(Activation) if (a in GATED) == (model.activation in GATED)]
            remedy = f"Take one of {', '.join(same)}, or begin a new run"
            raise ConfigError(f"{field}.set.model.activation", after.activation, rule, remedy)
        batch = swap.set.get("batch", shards)
        if type(batch) is not int or batch < 1 or batch % shards:
            rule = f"a batch is a multiple of pretrain.logical_shards = {shards}"
            raise ConfigError(f"{field}.set.batch", batch, rule, f"Take {shards} x a whole number")
        model, optim = after, _checked(optim, section(swap.set, "optim"), f"{field}.set.optim")
        check_kind(model, optim, f"{field}.set.optim.kind")
        rows = batch // shards if "batch" in swap.set else layout.passes
        check_layout(layout, model, rows, optim.kind, f"{field}.set = {dict(swap.set)}")


def check_kind(model: GPTConfig, optim: OptimConfig, field: str) -> None:
    """Raise ConfigError for an optimiser that the model's init has no rates for."""
    if optim.kind == "sgd" and model.init in ("mup", "completep"):
        rule = f"model.init {model.init} states its rates for Adam"
        raise ConfigError(field, "sgd", rule, "Take adamw, or another init")


def check_layout(layout: Layout, model: GPTConfig, rows: int, optimizer: str, why: str = "") -> None:
    """Raise ConfigError where `rows` of a logical shard, or what ``why`` names, cannot be laid out."""
    try:
        layout.check(model, rows, optimizer)
    except LayoutError as error:
        rule = f"{error.rule}, with {why}" if why else error.rule
        raise ConfigError(f"pretrain.{error.field}", error.value, rule, error.remedy) from error


def _known(name: str) -> bool:
    of, _, last = name.partition(".")
    return (
        name == "batch" or (of == "model" and last in OF_MODEL) or (of == "optim" and last in OptimConfig.model_fields)
    )


def _checked(config: Schema, values: Mapping[str, Any], field: str) -> Schema:
    """A config with other values. Raises ConfigError."""
    try:
        return type(config).model_validate({**config.model_dump(), **values})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join([field, *map(str, first["loc"])])
        raise ConfigError(name, first["input"], first["msg"], "Give a value that the field takes") from error
