"""Which parameter is stepped how: groups by kind, decay and rate. Knows no schedule: the caller sets each step's rate.

The formulas are leaves, models/optimizers/NAME.py, each with `make(groups, config)` and `RATE_POWER`.
"""

from typing import Any

import torch
from torch import nn

from models.config import GPTConfig
from models.init import reads_tokens, scale
from models.optim_config import OptimConfig
from models.parts import part


def make_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """The optimiser that the config names, over the parameters that are trained.

    Decay, always decoupled (Loshchilov and Hutter 2019, arXiv 1711.05101), is on matrices alone: not on norms, biases
    and embeddings, nor on a tied head, which is the embedding. Muon turns the blocks' matrices; AdamW steps the rest.
    A group has `names`, `kind` (the formula that steps it), `scale` (its rate / the schedule's) and `weight_decay`.
    Every state is a tensor, `optimizer.state[parameter][moment]`. Raises ValueError for SGD under muP or CompleteP.
    """
    leaf = part("optimizers", config.kind)
    groups: dict[tuple[Any, ...], dict[str, Any]] = {}
    for name, weight in model.named_parameters():
        if not weight.requires_grad:
            continue
        matrix = weight.ndim >= 2 and not reads_tokens(name) and not name.endswith("bias")
        turned = config.kind == "muon" and matrix and "blocks." in name
        kind = "adamw" if config.kind == "muon" and not turned else config.kind
        rate, decay, eps = _init_scales(model, name, weight, 1.0 if kind == "adamw" else leaf.RATE_POWER)
        settings = {
            "kind": kind,
            "scale": rate * (config.matrix_lr if turned else 1.0),
            "weight_decay": decay * config.weight_decay if matrix else 0.0,
            "eps": eps * config.eps,
        }
        group = groups.setdefault(tuple(settings.values()), {"params": [], "names": [], **settings})
        group["params"].append(weight)
        group["names"].append(name)
    made: torch.optim.Optimizer = leaf.make(list(groups.values()), config)
    return made


def _init_scales(model: nn.Module, name: str, weight: nn.Parameter, power: float | None) -> tuple[float, float, float]:
    """What the model's init asks of a parameter: (its rate, its decay, Adam's eps) / those of the config.

    muP and CompleteP state them for AdamW; an optimiser whose step grows otherwise with width takes a power of them.
    """
    shape = getattr(model, "config", None)
    if not isinstance(shape, GPTConfig):
        return 1.0, 1.0, 1.0
    about = name.removeprefix("body."), tuple(weight.shape)
    rate, decay, eps = (scale(shape, f"{kind}_scale", *about) for kind in ("lr", "decay", "eps"))
    if power is None and (rate, decay) != (1.0, 1.0):
        raise ValueError(f"optim.kind sgd: init {shape.init} states its rates for AdamW; take adamw, lion or muon")
    return rate ** (power or 1.0), decay ** (power or 1.0), eps


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set every group's learning rate to its scale x lr: the schedule's, whatever a loaded optimiser state says."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("scale", 1.0)
