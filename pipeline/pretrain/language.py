"""The language-modelling task: next-token loss on windows of the mixture. Serves pretraining and the trials."""

import hashlib
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cluster.errors import ConfigError, UserError
from models.config import GPTConfig
from models.optim_config import OptimConfig
from models.schedule import ContextSchedule, Plan, rows_of, whole_plan
from models.shards import ranges
from pipeline.pretrain import objective
from pipeline.pretrain.config import BatchStages, PretrainConfig
from pipeline.pretrain.loader import Loader
from pipeline.stage import StageFolder
from pipeline.tokens.batches import Batches
from pipeline.tokens.order import Order, permute
from pipeline.tokens.pieces import TokenReader, load_tokenizer, windows

Place = tuple[int, int]  # first sample of a batch, and how many


class LanguageTask:
    """Windows of ``context`` tokens in the mixture's order, cut over logical shards. Batches: int64 ``[b, T + 1]``."""

    def __init__(
        self,
        folder: StageFolder,
        model: GPTConfig,
        optim: OptimConfig,
        plan: Plan,
        how: PretrainConfig,
        seed: int,
        whole: int,
    ) -> None:
        self.model_config, self.optim, self.plan, self.how, self.seed = model, optim, plan, how, seed
        self.steps, self.shards, self.precision = plan.steps, how.logical_shards, how.precision
        self.guard, self.swaps = how.guard, how.swaps
        self._folder, self._shape = folder, model  # a swap changes model_config, and no weight's shape
        try:
            self.contexts = ContextSchedule(model.context, how.context_ramp)
        except ValueError as error:
            raise ConfigError("pretrain.context_ramp", how.context_ramp, str(error), "Change its tokens") from error
        mixture = folder.read_json("mixture.json")
        self._reader = TokenReader(folder, "train")
        lengths = {s: windows(self._reader.tokens(s), model.context) for s in self._reader.sources}
        weights, temperature, most = mixture["weights"], mixture["temperature"], mixture["max_epochs"]
        budgets = {source: n * plan.total_sequences / whole for source, n in mixture.get("budgets", {}).items()}
        epochs = mixture.get("epochs", {})
        self.order = Order(lengths, weights, temperature, plan.total_sequences, seed, most, budgets, epochs)
        self._batches = Batches(self._reader, self.order, model.context)
        changed = how.token_dropout or how.fim_rate
        self._augment = _option("augment").Augment.of(how, seed, load_tokenizer(folder)) if changed else None
        self._loader = Loader(self._read)
        self._heldout: Tensor | None = None
        self._points = 0

    def probe_with(self, folder: StageFolder, count: int, points: int) -> None:
        """Score ``count`` held-out windows at ``points`` steps, spread evenly and with the last step among them."""
        self._heldout = heldout_windows(folder, self.model_config.context, count, self.seed)
        self._points = points

    def build(self) -> nn.Module:
        start, state = self.how.start, None
        if start.kind != "none":
            state = _option("start").first_weights(start, self._shape, self.seed, self._folder)
        return objective.build(self.model_config, self.how, self.seed, state)

    def shard(self, step: int, g: int) -> Tensor:
        ahead = self._place(step + 1, g) if step + 1 < self.steps else None
        return rows_of(self._loader(self._place(step, g), ahead), self.contexts.at(self.fraction(step)))

    def _place(self, step: int, g: int) -> Place:
        first, count, _ = self.plan.step(step)
        lo, hi = ranges(count, self.shards)[g]
        return first + lo, hi - lo

    def _read(self, place: Place) -> Tensor:
        batch = self._batches.batch(*place)
        if self._augment:
            for row, window in enumerate(batch):
                batch[row] = self._augment(place[0] + row, window)
        return torch.from_numpy(batch)

    @property
    def waited(self) -> float:
        """Seconds that steps stood still for their batches."""
        return self._loader.waited

    def parts(self, batch: Tensor) -> Sequence[Tensor]:
        """The micro-batches of a shard, each of whole windows."""
        rows = self.model_config.context // (batch.shape[1] - 1)
        return torch.split(batch, int(self.how.micro_batch) * rows) if self.how.micro_batch else (batch,)

    def key(self, step: int, g: int) -> int:
        """The seed of a shard's dropout."""
        return int.from_bytes(hashlib.sha256(f"{self.seed}/{step}/{g}".encode()).digest()[:8], "little")

    def pair(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and targets ``[b, T]``."""
        inputs, targets = batch[:, :-1], batch[:, 1:]
        return (self._augment.inputs(inputs), self._augment.targets(targets)) if self._augment else (inputs, targets)

    def loss(self, model: nn.Module, batch: Tensor) -> tuple[Tensor, ...]:
        return objective.loss(model, *self.pair(batch), self.how)

    def probe(self, step: int, g: int) -> Tensor | None:
        probed = {round((i + 1) * (self.steps - 1) / self._points) for i in range(self._points)}  # a swap changes steps
        if self._heldout is None or step not in probed:
            return None
        lo, hi = ranges(len(self._heldout), self.shards)[g]
        return self._heldout[lo:hi] if hi > lo else None

    def fraction(self, step: int) -> float:
        return self.plan.step(step)[2]

    def tokens(self, step: int) -> int:
        first = self.plan.step(step)[0] if step < self.steps else self.plan.total_sequences
        return first * self.model_config.context

    def flops(self, step: int) -> float:
        """Training FLOPs of a step, for the utilisation."""
        a_token = self.model_config.flops_per_token(self.contexts.at(self.fraction(step)))
        return a_token * (self.tokens(step + 1) - self.tokens(step))

    def facts(self) -> dict[str, Any]:
        return {"kind": "gpt", "config": self.model_config.model_dump()}


def _option(name: str) -> Any:
    return importlib.import_module(f"pipeline.pretrain.options.{name}")


def heldout_windows(folder: StageFolder, context: int, count: int, seed: int) -> Tensor:
    """int64 ``[count, T + 1]``: held-out windows, the sources in turn; fewer where the held-out text is short."""
    reader = TokenReader(folder, "heldout")
    counts = {s: windows(reader.tokens(s), context) for s in reader.sources}
    sources = [s for s in reader.sources if counts[s] > 0]
    if not sources:
        rule = f"no source's held-out text fills a window of {context} tokens"
        raise UserError("corpus.heldout", counts, rule, "Hold out more documents, or take a shorter context")
    picked = []
    for i in range(count):
        source, turn = sources[i % len(sources)], i // len(sources)
        if turn < counts[source]:
            window = permute(seed, 0, counts[source], turn)
            picked.append(torch.from_numpy(reader.window(source, window * context, context + 1)))
    return torch.stack(picked)


def make_task(
    run: str,
    *,
    model: Mapping[str, Any],
    optim: Mapping[str, Any],
    tokens: int,
    batch: BatchStages,
    shards: int,
    seed: int,
    whole: int = 0,
    curve_points: int = 0,
    curve_windows: int = 1,
    pretrain: Mapping[str, Any] | None = None,
) -> LanguageTask:
    """The task from plain data, in any worker. Budgets of sources are meant for ``whole`` tokens, else for these.

    ``pretrain`` is the rest of that section, its defaults where there is none.
    """
    shape = GPTConfig.model_validate(dict(model))
    own = {"tokens": tokens, "batch": batch, "logical_shards": shards}
    how = PretrainConfig.model_validate({**(pretrain or {}), **own})
    if how.micro_batch == "auto":
        rule, remedy = "the driver finds it before the first stage, and writes it into run.toml", "Give a number"
        raise ConfigError("pretrain.micro_batch", "auto", rule, remedy)
    folder = StageFolder.open(run, "tokens")
    plan = whole_plan(tokens, shape.context, batch)
    task = LanguageTask(folder, shape, OptimConfig.model_validate(dict(optim)), plan, how, seed, whole or tokens)
    if curve_points:
        task.probe_with(folder, curve_windows, curve_points)
    return task
