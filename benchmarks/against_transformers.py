"""Our model beside transformers' own of the same shape and weights, in one bare training loop, interleaved.

The same lines train both: clipping, torch's AdamW, one thread, the tiny recipe's shape. Each has the loss that it is
trained with: theirs cross-entropy on whole logits, ours the one whose logits never stand whole. `same_loss` in the
result is ours with theirs.
"""

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, __version__

from benchmarks.claim import record
from models.config import GPTConfig
from models.gpt import GPT
from models.init import init_weights
from models.losses import linear_cross_entropy
from models.parts import part
from pipeline.recipes import tiny

ROUNDS, STEPS, ROWS = 9, 2, 8


def twin(model: GPT) -> LlamaForCausalLM:
    """transformers' model with the same weights."""
    llama, pieces = part("layouts", "llama"), part("layouts", "pieces")
    found = llama.config_json(model.config)
    state = pieces.taken_apart(llama.pieces(model.config, found), model.state_dict())
    named = {name if name == "lm_head.weight" else llama.PREFIX + name: tensor for name, tensor in state.items()}
    other = LlamaForCausalLM(LlamaConfig(**found, attn_implementation="sdpa", use_cache=False))
    missing = other.load_state_dict(named, strict=False)
    assert not missing.unexpected_keys
    assert set(missing.missing_keys) <= {"lm_head.weight"}  # tied
    return other


def stepper(model: nn.Module, loss: Callable[[Tensor], Tensor], rows: Tensor) -> Callable[[], float]:
    """One step of the bare loop; returns the loss."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.train()

    def step() -> float:
        optimizer.zero_grad()
        value = loss(rows)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return float(value.detach())

    return step


def main() -> None:
    """Median of the ratios of interleaved rounds."""
    torch.set_num_threads(1)
    config = GPTConfig.model_validate(tiny()["model"])
    shape = (ROWS, config.context + 1)
    rows = torch.randint(0, config.vocab_size, shape, generator=torch.Generator().manual_seed(1))
    ours, fused = GPT(config), GPT(config)
    init_weights(ours, 1)
    fused.load_state_dict(ours.state_dict())
    theirs = twin(ours)
    with torch.no_grad():
        torch.testing.assert_close(ours(rows[:, :-1]), theirs(rows[:, :-1]).logits, rtol=1e-4, atol=1e-4)

    def whole(logits: Tensor) -> Tensor:
        return F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())

    def chunked(rows: Tensor) -> Tensor:
        hidden = fused.hidden(rows[:, :-1]).flatten(0, 1)
        total, weight, _ = linear_cross_entropy(hidden, fused.head_weight, rows[:, 1:].flatten())
        return total / weight

    steps = {
        "ours": stepper(fused, chunked, rows),
        "same loss": stepper(ours, lambda rows: whole(ours(rows[:, :-1])), rows),
        "transformers": stepper(theirs, lambda rows: whole(theirs(rows[:, :-1]).logits), rows),
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(ROUNDS + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            for _ in range(STEPS):
                step()
            if turn:  # the first one warms up
                times[name].append(time.perf_counter() - start)
    value, same = (
        round(statistics.median(a / b for a, b in zip(times["transformers"], times[name], strict=True)), 3)
        for name in ("ours", "same loss")
    )
    size = f"{config.parameters() / 1e6:.1f} M parameters"
    what = f"speed of a training step / transformers' Llama of the same shape, {size}, each with its own loss"
    runs = [{"same_loss": same, "seconds": times, "rows": ROWS, "steps": STEPS}]
    peers = {"transformers": {"value": 1.0, "version": __version__}}
    record("against_transformers", what, "", value, "at least 1.1", value >= 1.1, runs=runs, peers=peers)


if __name__ == "__main__":
    main()
