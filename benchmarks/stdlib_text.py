"""Real text that every machine has: the source of Python's standard library, as bytes."""

import os
from pathlib import Path

import torch
from torch import Tensor

HELD_OUT = 10  # each so many-th file


def split() -> tuple[Tensor, Tensor]:
    """(training, held-out) bytes as int64 [N]: the modules at the top of the library, by name."""
    files = sorted(Path(os.__file__).parent.glob("*.py"))
    texts = [[p.read_bytes() for i, p in enumerate(files) if (i % HELD_OUT == 0) == held] for held in (False, True)]
    train, held = (torch.frombuffer(bytearray(b"".join(text)), dtype=torch.uint8).long() for text in texts)
    return train, held


def windows(data: Tensor, rows: int, context: int, draw: torch.Generator) -> Tensor:
    """Random windows [rows, context + 1]."""
    starts = torch.randint(0, len(data) - context, (rows,), generator=draw).tolist()
    return torch.stack([data[start : start + context + 1] for start in starts])
