"""What of one optimiser's state another takes over when they are swapped in the middle of a run. Knows no loop.

The rule: the running mean of the gradient is kept, whatever the form it stands in; all else begins anew.

| state | mean of the gradient | into it |
|---|---|---|
| AdamW | exp_avg / (1 - beta1^step) | as if its first step had seen that mean: step 1, exp_avg, exp_avg_sq |
| Lion | exp_avg | exp_avg |
| SGD, Muon | (1 - momentum) momentum_buffer | momentum_buffer |
| Adafactor | none | nothing |

AdamW that began with a mean but without squares would take huge steps; begun so, none is above 1.5 x the rate.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from models.optim_config import OptimConfig

State = Mapping[str, Tensor]


def carry(
    tensors: State, model: nn.Module, optimizer: torch.optim.Optimizer, old: OptimConfig, new: OptimConfig
) -> dict[str, Tensor]:
    """A run's state ``model.*``, ``optim.<moment>.<parameter>`` for another optimiser of the same model.

    The same kind of optimiser keeps all that it has, whatever its settings are.
    """
    if old.kind == new.kind:
        return dict(tensors)
    made, states = dict[str, Tensor](), dict[str, dict[str, Tensor]]()
    for key, tensor in tensors.items():
        top, moment, name = (*key.split(".", 2), "", "")[:3]
        if top == "optim":
            states.setdefault(name, {})[moment] = tensor
        else:
            made[key] = tensor
    kinds = {id(weight): group.get("kind", new.kind) for group in optimizer.param_groups for weight in group["params"]}
    for name, weight in model.named_parameters():
        if id(weight) in kinds:
            for moment, tensor in carried(states.get(name, {}), old, new, kinds[id(weight)]).items():
                made[f"optim.{moment}.{name}"] = tensor
    return made


def carried(state: State, old: OptimConfig, new: OptimConfig, kind: str) -> dict[str, Tensor]:
    """One parameter's state under optimiser ``new``, where its own update is of ``kind`` (Muon's others are AdamW)."""
    mean = gradient_mean(state, old)
    if mean is None or kind == "adafactor" or (kind == "sgd" and not new.momentum):
        return {}
    if kind == "lion":
        return {"exp_avg": mean}
    if kind == "adamw":
        first, second = (1 - new.beta1) * mean, (1 - new.beta2) * mean.square()
        return {"step": torch.tensor(1.0), "exp_avg": first, "exp_avg_sq": second}
    return {"momentum_buffer": mean / (1 - new.momentum)}


def gradient_mean(state: State, config: OptimConfig) -> Tensor | None:
    """The running mean of the gradient that an optimiser's state holds, or None."""
    if "momentum_buffer" in state:
        return (1 - config.momentum) * state["momentum_buffer"]
    if "exp_avg" not in state or "step" not in state:
        return state.get("exp_avg")
    correction: float = 1 - config.beta1 ** float(state["step"])
    return state["exp_avg"] / correction
