"""The config of a whole run, from a recipe, a TOML file and --set. Schemas only: no torch, no ray, no pyarrow."""

import difflib
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ValidationError, model_validator

from cluster.config import ClusterConfig
from cluster.errors import ConfigError
from cluster.fields import Config, execution, result
from models.config import GPTConfig
from models.layout_config import LayoutError
from models.optim_config import OptimConfig
from models.schedule import whole_plan
from pipeline.corpus.config import CorpusConfig
from pipeline.evaluate.config import EvaluateConfig
from pipeline.export.config import ExportConfig
from pipeline.finetune.config import FinetuneConfig
from pipeline.pretrain.config import BatchStages, PretrainConfig
from pipeline.pretrain.swap_config import check_kind, check_layout, check_swaps
from pipeline.reward.config import RewardConfig
from pipeline.rlhf.config import RlhfConfig
from pipeline.search.config import SearchConfig
from pipeline.tokens.config import TokensConfig


class RunConfig(Config):
    """Everything that a run is told. A stage's fingerprint covers the result fields of the sections it reads."""

    recipe: str = execution(..., "Name of the recipe that this config began as", unit="none")
    seed: int = result(1, "Seed of every random choice", unit="none", ge=0, lt=2**31)
    model: GPTConfig = result(..., "Shape of the model", unit="none")
    optim: OptimConfig = result(..., "Optimiser of pretraining; the search chooses its peak rate", unit="none")
    corpus: CorpusConfig = result(..., "Sources and cleaning", unit="none")
    tokens: TokensConfig = result(..., "Tokeniser, mixture and pieces", unit="none")
    search: SearchConfig = result(..., "Hyper-parameter search", unit="none")
    pretrain: PretrainConfig = result(..., "Pretraining", unit="none")
    evaluate: EvaluateConfig = result(..., "Evaluation", unit="none")
    finetune: FinetuneConfig = result(..., "Instruction tuning", unit="none")
    reward: RewardConfig = result(..., "Reward model", unit="none")
    rlhf: RlhfConfig = result(..., "Reinforcement learning from the reward", unit="none")
    export: ExportConfig = result(..., "Export", unit="none")
    cluster: ClusterConfig = execution(..., "Where the run executes", unit="none")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.model.vocab_size != self.tokens.vocab_size:
            raise ConfigError(
                "model.vocab_size",
                self.model.vocab_size,
                f"equal to tokens.vocab_size = {self.tokens.vocab_size}",
                "Change both",
            )
        sources = [source.name for source in self.corpus.sources]
        for field in ("weights", "epochs", "budgets"):
            for name in getattr(self.tokens, field):
                if name not in sources:
                    rule = f"there is no source of this name; sources: {', '.join(sources)}"
                    raise ConfigError(f"tokens.{field}.{name}", name, rule, "Name a source of [[corpus.sources]]")
        shards = self.pretrain.logical_shards
        check_shards("pretrain", self.schedules(idle=True), shards, self.pretrain.replicas)
        for name, section in (("finetune", self.finetune), ("reward", self.reward)):
            schedules = {f"{name}.batch": ((0.0, section.batch),)}
            check_shards(name, schedules, section.logical_shards, section.replicas)
        for _, tokens in self.pretrain.context_ramp:
            if tokens < 2 or self.model.context % tokens:
                rule = f"a length divides model.context = {self.model.context}, so that a window is whole sequences"
                raise ConfigError("pretrain.context_ramp", tokens, rule, f"Take {self.model.context} / 2, / 4, ...")
            if self.pretrain.layout.sequence and tokens % self.pretrain.layout.tensor:
                rule = f"layout.sequence cuts a length over tensor = {self.pretrain.layout.tensor} workers"
                raise ConfigError("pretrain.context_ramp", tokens, rule, "Take multiples, or sequence = false")
        if self.pretrain.fim_rate and not self.tokens.file:
            rule = "documents are rearranged by tokens that no vocabulary has that is trained here"
            raise ConfigError("pretrain.fim_rate", self.pretrain.fim_rate, rule, "Name one that has them: tokens.file")
        check_kind(self.model, self.optim, "optim.kind")
        layout = self.pretrain.layout
        check_layout(layout, self.model, layout.passes, self.optim.kind)
        check_swaps(self.pretrain.swaps, self.model, self.optim, shards, layout)
        for name, size in self.batch_sizes:
            check_layout(layout, self.model, size // shards, self.optim.kind, f"{name} of {size}")
        late = [swap.at for swap in self.pretrain.swaps if swap.at >= self.most_steps]
        if late:
            rule = f"pretraining has at most {self.most_steps} steps, so it would never be made"
            raise ConfigError("pretrain.swaps.at", late[0], rule, "Take an earlier step, or a token fraction below 1")
        return self

    def schedules(self, idle: bool = False) -> dict[str, BatchStages]:
        """Batch schedules that pretraining may follow, by field; with ``idle`` those of a search that is off, too."""
        own = {"pretrain.batch": self.pretrain.batch}
        searched = self.search.batches if self.search.enabled or idle else ()
        return own | {f"search.batches[{i}]": schedule for i, schedule in enumerate(searched)}

    @property
    def batch_sizes(self) -> list[tuple[str, int]]:
        """(field, sequences a step) of every batch that pretraining may have: its own, the search's, a swap's."""
        found = [(name, size) for name, schedule in self.schedules().items() for _, size in schedule]
        return found + [("pretrain.swaps", int(s.set["batch"])) for s in self.pretrain.swaps if "batch" in s.set]

    @property
    def shard_windows(self) -> int:
        """Windows of a logical shard, of the largest batch that may come."""
        return max(size for _, size in self.batch_sizes) // self.pretrain.logical_shards

    @property
    def most_steps(self) -> int:
        """Steps of pretraining at the most: the smallest batch that there may be all along."""
        least = min(size for _, size in self.batch_sizes)
        tokens, context = self.pretrain.tokens, self.model.context
        plans = (whole_plan(tokens, context, schedule) for schedule in self.schedules().values())
        return -(-max(plan.total_sequences for plan in plans) // least)


def check_shards(section: str, schedules: Mapping[str, BatchStages], shards: int, replicas: int) -> None:
    """Raise ConfigError unless each schedule begins at 0 and goes up, shards divide it, and each replica has one."""
    for name, schedule in schedules.items():
        starts = [start for start, _ in schedule]
        if not starts or starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] >= 1:
            raise ConfigError(name, schedule, "token fractions begin at 0.0 and go up below 1.0", "Sort the pairs")
        for _, size in schedule:
            if size <= 0 or size % shards:
                rule = f"a batch is a multiple of {section}.logical_shards = {shards}"
                remedy = f"Take {max(shards, round(size / shards) * shards)}, or other logical_shards"
                raise ConfigError(name, size, rule, remedy)
    if replicas > shards:
        rule = f"at most {section}.logical_shards = {shards}, since a replica takes whole shards"
        remedy = "Ask for fewer replicas, or raise logical_shards (that changes the result)"
        raise ConfigError(f"{section}.replicas", replicas, rule, remedy)


def check_dialogues(config: RunConfig, stages: Collection[str] = ("finetune", "reward", "rlhf")) -> None:
    """Raise ConfigError where one of these stages names a source that the corpus has not: hours later is too late."""
    there = [source.name for source in config.corpus.sources]
    finetune, reward, sampling = config.finetune, config.reward, config.rlhf.sampling
    needs = (
        ("finetune.sources", finetune.sources, type(finetune)().sources, "turns", "evaluate@pretrain"),
        ("reward.sources", reward.sources, type(reward)().sources, "ratings", "evaluate@finetune"),
        ("rlhf.sampling.sources", sampling.sources, type(sampling)().sources, "turns", "reward"),
    )
    for field, names, default, held, before in needs:
        stage, absent = field.partition(".")[0], [name for name in names if name not in there]
        enough = names == default and len(absent) < len(names)  # of the default ones one is enough
        if stage in stages and absent and not enough:
            rule = f"{stage} takes dialogues of the corpus, whose sources are {', '.join(there)}"
            remedy = f"Name those with {held}, add one (kind chats comes with pip), or stop before: --until {before}"
            raise ConfigError(field, absent, rule, remedy)


def override(values: dict[str, Any], path: str, value: object) -> None:
    """Set one dotted path in nested plain data."""
    *folders, last = path.split(".")
    for name in folders:
        child = values.setdefault(name, {})
        if not isinstance(child, dict):
            raise ConfigError("--set", path, f"{name} is a value, not a section", "Name the field itself")
        values = child
    values[last] = value


def parse_set(text: str) -> tuple[str, object]:
    """``a.b=c`` with c as a TOML value, or as plain text where it is none."""
    path, equals, raw = text.partition("=")
    if not equals or not path.strip():
        raise ConfigError("--set", text, "is written a.b=value", "Example: --set pretrain.tokens=500000")
    try:
        return path.strip(), tomllib.loads(f"v = {raw}")["v"]
    except tomllib.TOMLDecodeError:
        return path.strip(), raw


def merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested plain data, the second over the first; lists are replaced whole."""
    out = dict(base)
    for key, value in over.items():
        old = out.get(key)
        out[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return out


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as plain data. Raises ConfigError with its line where it is malformed."""
    try:
        return tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("RECIPE", str(path), f"not a TOML file: {error}", "Mend that line") from error


def build(values: Mapping[str, Any]) -> RunConfig:
    """Plain data to a checked config. Raises ConfigError that names field, value, rule and remedy."""
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise _explain(error) from error


def _explain(error: ValidationError) -> ConfigError:
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _fields_at(first["loc"][:-1])
        close = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        remedy = f"Did you mean {close[0]}?" if close else f"Known here: {', '.join(known)}"
        return ConfigError(field, first["input"], "there is no such field", remedy)
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, LayoutError):
        return ConfigError(f"{field.removesuffix('layout')}{cause.field}", cause.value, cause.rule, cause.remedy)
    if first["type"] == "value_error":  # of models: "FIELD VALUE breaks this rule; remedy"
        said, _, remedy = str(first["ctx"]["error"]).partition("; ")
        name, value, rule = [*said.split(" ", 2), "", ""][:3]
        if name.partition(".")[0] in _fields_at(first["loc"]):
            remedy = remedy[:1].upper() + remedy[1:] or "Change one of them"
            return ConfigError(f"{field}.{name}", value.rstrip(":"), rule, remedy)
    rule = first["msg"][0].lower() + first["msg"][1:]
    more = f" ({error.error_count() - 1} more after it)" if error.error_count() > 1 else ""
    return ConfigError(field, first["input"], rule, f"Change it in the recipe or with --set {field}=...{more}")


def _fields_at(path: tuple[int | str, ...]) -> list[str]:
    kind: type[BaseModel] = RunConfig
    for name in path:
        found = kind.model_fields.get(str(name))
        if found is None or not isinstance(found.annotation, type) or not issubclass(found.annotation, BaseModel):
            break
        kind = found.annotation
    return list(kind.model_fields)
