"""The language-modelling task: next-token loss on windows of the mixture. Serves pretraining and the trials."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cluster.errors import UserError
from models.config import GPTConfig
from models.gpt import GPT, init_weights
from models.losses import next_token_sum
from models.optim_config import OptimConfig
from models.schedule import Plan, whole_plan
from models.shards import ranges
from pipeline.pretrain.config import BatchStages
from pipeline.stage import StageFolder
from pipeline.tokens.batches import Batches
from pipeline.tokens.order import Order, permute
from pipeline.tokens.pieces import TokenReader, windows


class LanguageTask:
    """Windows of ``context`` tokens in the mixture's order, cut over logical shards. Batches: int64 ``[b, T + 1]``."""

    def __init__(
        self, folder: StageFolder, model: GPTConfig, optim: OptimConfig, plan: Plan, shards: int, seed: int, whole: int
    ) -> None:
        self.model_config, self.optim, self.plan, self.shards, self.seed = model, optim, plan, shards, seed
        self.steps = plan.steps
        mixture = folder.read_json("mixture.json")
        self._reader = TokenReader(folder, "train")
        lengths = {s: windows(self._reader.tokens(s), model.context) for s in self._reader.sources}
        weights, temperature, most = mixture["weights"], mixture["temperature"], mixture["max_epochs"]
        budgets = {source: n * plan.total_sequences / whole for source, n in mixture.get("budgets", {}).items()}
        epochs = mixture.get("epochs", {})
        self.order = Order(lengths, weights, temperature, plan.total_sequences, seed, most, budgets, epochs)
        self._batches = Batches(self._reader, self.order, model.context)
        self._heldout: Tensor | None = None
        self._probe_steps: set[int] = set()

    def probe_with(self, folder: StageFolder, count: int, points: int) -> None:
        """Score ``count`` held-out windows at ``points`` steps, spread evenly and with the last step among them."""
        self._heldout = heldout_windows(folder, self.model_config.context, count, self.seed)
        self._probe_steps = {round((i + 1) * (self.steps - 1) / points) for i in range(points)}

    def build(self) -> nn.Module:
        model = GPT(self.model_config)
        init_weights(model, self.seed)
        return model

    def shard(self, step: int, g: int) -> Tensor:
        first, count, _ = self.plan.step(step)
        lo, hi = ranges(count, self.shards)[g]
        return torch.from_numpy(self._batches.batch(first + lo, hi - lo))

    def loss(self, model: nn.Module, batch: Tensor) -> tuple[Tensor, Tensor]:
        return next_token_sum(model(batch[:, :-1]), batch[:, 1:])

    def probe(self, step: int, g: int) -> Tensor | None:
        if self._heldout is None or step not in self._probe_steps:
            return None
        lo, hi = ranges(len(self._heldout), self.shards)[g]
        return self._heldout[lo:hi] if hi > lo else None

    def fraction(self, step: int) -> float:
        return self.plan.step(step)[2]

    def tokens(self, step: int) -> int:
        first = self.plan.step(step)[0] if step < self.steps else self.plan.total_sequences
        return first * self.model_config.context

    def facts(self) -> dict[str, Any]:
        return {"kind": "gpt", "config": self.model_config.model_dump()}


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
) -> LanguageTask:
    """The task from plain data, in any worker. Budgets of sources are meant for ``whole`` tokens, else for these."""
    shape = GPTConfig.model_validate(dict(model))
    folder = StageFolder.open(run, "tokens")
    plan = whole_plan(tokens, shape.context, batch)
    task = LanguageTask(folder, shape, OptimConfig.model_validate(dict(optim)), plan, shards, seed, whole or tokens)
    if curve_points:
        task.probe_with(folder, curve_windows, curve_points)
    return task
