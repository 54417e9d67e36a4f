"""Log-probabilities of continuations under a model, and what they say of an item. Knows no files.

Each request runs alone: its continuations share the forward pass of their context and are padded on the right, where a
causal model cannot see. So no result depends on what else is scored, nor on how many at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.attention import Cache
from models.config import GPTConfig
from models.gpt import GPT
from pipeline.evaluate.tasks import Request


@dataclass(frozen=True)
class Scored:
    """One continuation: its log-probability in nats, and whether greedy decoding would give exactly it."""

    logprob: float
    greedy: bool


def target_logprobs(logits_NV: Tensor, targets_N: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability `[N]` in nats of each target, and whether it is the most likely token."""
    logprobs_NV = torch.log_softmax(logits_NV.float(), dim=-1)
    return logprobs_NV.gather(-1, targets_N[:, None])[:, 0], logits_NV.argmax(-1) == targets_N


@torch.inference_mode()
def continuations(model: GPT, context: Sequence[int], options: Sequence[Sequence[int]]) -> list[Scored]:
    """Score every option after one context; all but the last token of an option must fit the window beside it."""
    assert context and all(options), "an empty context or continuation has no log-probability"
    length, longest = len(context), max(len(o) for o in options)
    cache = Cache(model.config, 1, length)
    hidden_NLD = model.hidden(torch.tensor([list(context)]), cache=cache)[:, -1:].expand(len(options), -1, -1)
    if longest > 1:
        # The last token of an option is predicted, never read.
        read_NL = torch.tensor([[*o[:-1], *[0] * (longest - len(o))] for o in options])
        positions_NL = torch.arange(length, length + longest - 1).expand_as(read_NL)
        rest_NLD = model.hidden(read_NL, positions_NL, cache=_widen(model.config, cache, len(options), longest - 1))
        hidden_NLD = torch.cat((hidden_NLD, rest_NLD), dim=1)
    scored = []
    for hidden_LD, option in zip(hidden_NLD, options, strict=True):
        logprob_L, greedy_L = target_logprobs(model.logits(hidden_LD[: len(option)]), torch.tensor(list(option)))
        scored.append(Scored(float(logprob_L.double().sum()), bool(greedy_L.all())))
    return scored


def _widen(config: GPTConfig, cache: Cache, rows: int, more: int) -> Cache:
    """The same keys and values in each of `rows` rows, with room for `more` positions."""
    length = cache.keys.shape[2]
    wide = Cache(config, rows, length + more)
    wide.keys[:, :, :length], wide.values[:, :, :length] = cache.keys, cache.values
    return wide


def outcome(request: Request, scored: Sequence[Scored]) -> dict[str, Any]:
    """The row that is kept of one item.

    `sum` picks the likeliest continuation, `per_byte` the likeliest per byte of text (long ones are not punished). On
    equal scores the first one wins. A cloze item is `exact` where each token of the whole word is the greedy one.
    """
    item = request.item
    sizes = [len(c.encode()) for c in item.continuations]
    row: dict[str, Any] = {"id": item.id, "source": item.source, "shots": request.shots, "cut": request.cut}
    row["logprobs"] = [s.logprob for s in scored]
    row["bytes"] = sizes
    row["tokens"] = [len(c) for c in request.continuations]
    if item.kind == "cloze":
        return {**row, "exact": scored[0].greedy}
    rates = [s.logprob / max(1, size) for s, size in zip(scored, sizes, strict=True)]
    picks = {"sum": row["logprobs"].index(max(row["logprobs"])), "per_byte": rates.index(max(rates))}
    return {**row, "answer": item.answer, "picks": picks}
