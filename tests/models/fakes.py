"""Tiny models, and a membership of threads in one process."""

import threading
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from models.config import GPTConfig
from models.gpt import GPT, init_weights
from models.optim_config import OptimConfig
from models.tokenizer import Tokenizer

Result = TypeVar("Result")

TEXTS = ["the cat sat on the mat, and the dog sat on the log.\n", "3 plus 14 is 17; naïve café 日本語 🚀 ok"] * 20


def tiny_config(**changes: object) -> GPTConfig:
    shape: dict[str, object] = {
        "vocab_size": 300, "context": 32, "layers": 2, "width": 16, "heads": 2, "hidden": 24
    }  # fmt: skip
    return GPTConfig.model_validate(shape | changes)


def tiny_model(seed: int = 0, **changes: object) -> GPT:
    model = GPT(tiny_config(**changes))
    init_weights(model, seed)
    with torch.no_grad():  # far from uniform, so that a wrong probability shows
        for weight in model.parameters():
            weight.mul_(2.0)
    return model


def tiny_optim(**changes: object) -> OptimConfig:
    return OptimConfig.model_validate({"peak_lr": 1e-2} | changes)


def tiny_tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXTS, 300)


class ThreadExchange:
    """One member of a membership of threads; `boxes` is shared by all."""

    def __init__(self, rank: int, boxes: list[Tensor | None], barrier: threading.Barrier) -> None:
        self.members, self.rank = len(boxes), rank
        self._boxes, self._barrier = boxes, barrier

    def _swap(self, x: Tensor, take: Callable[[int, Tensor], Tensor]) -> list[Tensor]:
        self._boxes[self.rank] = x
        self._barrier.wait(timeout=30)
        got = [take(source, box) for source, box in enumerate(self._boxes) if box is not None]
        self._barrier.wait(timeout=30)
        return got

    def all_to_all(self, send: Tensor, out_sizes: list[int], in_sizes: list[int]) -> Tensor:
        assert sum(in_sizes) == len(send)
        assert len(set(in_sizes)) == 1  # so that the receiver can find its part of a sender's box

        def mine(source: int, box: Tensor) -> Tensor:
            assert len(box) == out_sizes[source] * self.members
            return box.view(self.members, -1)[self.rank] if len(box) else box

        return torch.cat(self._swap(send, mine))

    def all_gather(self, x: Tensor) -> list[Tensor]:
        return self._swap(x, lambda _, box: box.clone())


def in_threads(members: int, work: Callable[[ThreadExchange], Result]) -> list[Result]:
    """work(exchange) of each member, at once; results by rank."""
    boxes: list[Tensor | None] = [None] * members
    barrier = threading.Barrier(members)
    results: dict[int, Result] = {}

    def member(rank: int) -> None:
        try:
            results[rank] = work(ThreadExchange(rank, boxes, barrier))
        except BaseException:
            barrier.abort()
            raise

    threads = [threading.Thread(target=member, args=(rank,)) for rank in range(members)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[rank] for rank in range(members)]
