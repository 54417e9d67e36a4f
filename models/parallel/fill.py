"""Models without memory, and the first weights of a worker's part of them.

A parameter is drawn whole, as in the one-process model, and cut: its bits do not depend on the layout. One block is
whole at a time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from models.config import GPTConfig
from models.gpt import GPT
from models.init import first_weight
from models.parallel.cuts import Cut, Shape, boxes, cut_shape


@contextmanager
def unmade() -> Iterator[None]:
    """Modules that are built inside have parameters without memory; their buffers are real."""
    register: Callable[..., None] = nn.Module.register_parameter

    def on_meta(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        register(module, name, None if parameter is None else nn.Parameter(parameter.to("meta")))

    setattr(nn.Module, "register_parameter", on_meta)  # noqa: B010
    try:
        yield
    finally:
        setattr(nn.Module, "register_parameter", register)  # noqa: B010


def skeleton(config: GPTConfig) -> GPT:
    """The one-process model for its names and shapes: its parameters are one number each, seen as many."""
    with unmade():
        model = GPT(config)
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            module.register_parameter(name, nn.Parameter(torch.zeros(()).expand(parameter.shape)))
    return model


def first_value(config: GPTConfig, name: str, shape: Shape, seed: int) -> Tensor:
    """What `models.init.init_weights` gives a parameter."""
    if name.endswith("bias"):
        return torch.zeros(shape)
    return torch.ones(shape) if len(shape) == 1 else first_weight(config, name, shape, seed)


def taken(whole: Tensor, made: tuple[Cut, ...]) -> Tensor:
    """A worker's part of a parameter, its own memory."""
    part = whole.new_empty(cut_shape(tuple(whole.shape), made))
    for there, here in boxes(tuple(whole.shape), made):
        part[here] = whole[there]
    return part


def fill(module: nn.Module, prefix: str, value: Callable[[str], Tensor], device: torch.device) -> None:
    """Give the parameters below a module that have no memory theirs, by their names in the whole model."""
    for path, inner in module.named_modules(prefix=prefix):
        for name, parameter in list(inner.named_parameters(recurse=False)):
            if parameter.is_meta:
                full: Any = f"{path}.{name}".lstrip(".")
                inner.register_parameter(name, nn.Parameter(value(full).to(device)))
