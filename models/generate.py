"""Sampling with a key-value cache, and the log-probabilities of given tokens. Knows no text.

Each uniform number is a hash of the sample's key and the token's index: a sample does not depend on what its neighbours
draw, nor on the order of the rows. (Its logits still depend on the batch's shape in the last bits; fix the chunk.)
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import Cache
from models.gpt import GPT


@dataclass(frozen=True)
class Sample:
    """New tokens, the log-probability of each, and whether the sample ended with stop_id (its last token then)."""

    tokens: list[int]
    logprobs: list[float]
    ended: bool


def uniform(key: tuple[int, ...], index: int) -> float:
    """A number in [0, 1) that is a function of (key, index) only."""
    data = ",".join(map(str, (*key, index))).encode()
    return (int.from_bytes(hashlib.sha256(data).digest()[:8], "big") >> 12) * 2.0**-52


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Inside, evaluation mode: no dropout, running statistics, all experts' places. After it, the mode as it was."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


@torch.inference_mode()
def generate(
    model: GPT,
    prompts: list[list[int]],
    *,
    max_new: int,
    temperature: float,
    stop_id: int,
    pad_id: int,
    keys: list[tuple[int, ...]],
    top_k: int = 0,
) -> list[Sample]:
    """One sample a prompt, in order, of at most `max_new` tokens; it stops after stop_id or where the context is full.

    Log-probabilities are those of the distribution that was sampled: the logits divided by the temperature, and cut to
    the top_k largest where top_k > 0. Temperature 0 takes the likeliest token, with log-probabilities at temperature 1.
    Raises ValueError for an empty or too long prompt, or where keys and prompts differ in number.
    """
    context = model.config.context
    if len(keys) != len(prompts):
        raise ValueError(f"{len(prompts)} prompts need as many keys, got {len(keys)}")
    if temperature < 0 or max_new < 1 or top_k < 0:
        raise ValueError(f"temperature {temperature}, top_k {top_k} must be >= 0, max_new {max_new} >= 1")
    for row, prompt in enumerate(prompts):
        if not 0 < len(prompt) < context:
            raise ValueError(f"prompt {row} has {len(prompt)} tokens; 1 to {context - 1} fit before an answer")
    if not prompts:
        return []
    lengths_B = torch.tensor([len(prompt) for prompt in prompts])
    longest = int(lengths_B.max())
    cache = Cache(model.config, len(prompts), min(context, longest + max_new))
    # right padding: a pad's slot lies beyond its row's last query until the row's own token overwrites it
    padded = [prompt + [pad_id] * (longest - len(prompt)) for prompt in prompts]
    tokens: list[list[int]] = [[] for _ in prompts]
    logprobs: list[list[float]] = [[] for _ in prompts]
    open_rows = set(range(len(prompts)))
    with evaluating(model):
        hidden_BTD = model.hidden(torch.tensor(padded), cache=cache)
        hidden_BD = hidden_BTD[torch.arange(len(prompts)), lengths_B - 1]
        for index in range(max_new):
            drawn_B, logprob_B = _draw(
                model.logits(hidden_BD), temperature, top_k, [uniform(key, index) for key in keys]
            )
            for row, (token, logprob) in enumerate(zip(drawn_B.tolist(), logprob_B.tolist(), strict=True)):
                if row in open_rows:
                    tokens[row].append(token)
                    logprobs[row].append(logprob)
                    if token == stop_id or len(prompts[row]) + len(tokens[row]) == context:
                        open_rows.remove(row)
            if not open_rows or index + 1 == max_new:
                break
            # closed rows go on as padding at a slot that they own
            positions_B1 = (lengths_B + index).clamp(max=context - 1)[:, None]
            hidden_BD = model.hidden(drawn_B[:, None], positions_B1, cache=cache)[:, 0]
    return [Sample(t, p, t[-1] == stop_id) for t, p in zip(tokens, logprobs, strict=True)]


def _draw(logits_BV: Tensor, temperature: float, top_k: int, uniforms: list[float]) -> tuple[Tensor, Tensor]:
    """(tokens [B], their log-probabilities [B]) by inversion of the cumulative distribution in vocabulary order."""
    if temperature == 0:
        tokens_B = logits_BV.argmax(-1)
        return tokens_B, logits_BV.log_softmax(-1).gather(1, tokens_B[:, None])[:, 0]
    logits_BV = logits_BV / temperature
    if 0 < top_k < logits_BV.shape[1]:
        kept = logits_BV.topk(top_k)
        logits_BV = torch.full_like(logits_BV, -torch.inf).scatter(1, kept.indices, kept.values)
    logprobs_BV = logits_BV.log_softmax(-1)
    cumulative_BV = logprobs_BV.exp().cumsum(-1, dtype=torch.float64)
    targets_B1 = torch.tensor(uniforms, dtype=torch.float64)[:, None] * cumulative_BV[:, -1:]
    # right: the first entry above the target, which has a probability above zero
    tokens_B1 = torch.searchsorted(cumulative_BV, targets_B1, right=True)
    return tokens_B1[:, 0], logprobs_BV.gather(1, tokens_B1)[:, 0]


def sequence_logprobs(model: GPT, tokens_BT: Tensor, lengths: list[int], temperature: float = 1.0) -> Tensor:
    """Log-probability [B, T - 1] of tokens 1..T-1 given those before; zero from each row's length on. Differentiable.

    Rows are right-padded. At the temperature of `generate` (without top_k) these are its logprobs.
    """
    logits_BTV = model(tokens_BT[:, :-1])
    if temperature != 1.0:
        logits_BTV = logits_BTV / temperature
    loss_N = F.cross_entropy(logits_BTV.flatten(0, 1), tokens_BT[:, 1:].flatten(), reduction="none")
    places_T = torch.arange(1, tokens_BT.shape[1])
    inside_BT = places_T < torch.tensor(lengths)[:, None]
    return torch.where(inside_BT, -loss_N.view_as(inside_BT), 0.0)
