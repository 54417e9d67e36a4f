"""The model as it is trained, and what is descended: how it is computed is the pretrain section's. Knows no data."""

import os
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from cluster.errors import ConfigError
from models.config import GPTConfig
from models.gpt import GPT
from models.init import init_weights
from models.losses import linear_cross_entropy
from pipeline.pretrain.config import PretrainConfig


def build(shape: GPTConfig, how: PretrainConfig, seed: int, state: Mapping[str, Tensor] | None = None) -> GPT:
    """The model with its first weights, drawn where no state is given.

    Raises ConfigError where it is to be compiled, and there is no compiler.
    """
    model = GPT(shape)
    if state is None:
        init_weights(model, seed)
    else:
        model.load_state_dict(state)
    prepare(model, how)
    return model


def prepare(model: GPT, how: PretrainConfig) -> None:
    """Recomputation (Chen and others 2016, arXiv 1604.06174) and compilation; names of weights stay as they are."""
    model.recompute = how.recompute
    if how.compile:
        if not torch.cuda.is_available() and not shutil.which(os.environ.get("CXX", "g++")):
            rule = "torch.compile on a CPU needs a C++ compiler, and there is none"
            raise ConfigError("pretrain.compile", True, rule, "Install g++, name yours in CXX, or take false")
        setattr(model, "hidden", torch.compile(model.hidden, dynamic=False))  # noqa: B010


def loss(model: nn.Module, inputs_BT: Tensor, targets_BT: Tensor, how: PretrainConfig) -> tuple[Tensor, ...]:
    """(sum, weight): cross-entropy in nats and counted tokens. In training (descended sum, weight, shown sum) where
    z-loss or label smoothing add to what is descended; what experts add is added by the step, for every stage alike."""
    assert isinstance(model, GPT)
    with precision(inputs_BT.device, how):
        hidden_BTD = model.hidden(inputs_BT)
    smoothing, z_weight = (how.label_smoothing, how.z_weight) if model.training else (0.0, 0.0)
    with precision(inputs_BT.device, how):
        said = linear_cross_entropy(
            hidden_BTD.flatten(0, 1),
            model.head_weight,
            targets_BT.flatten(),
            scale=model.logit_scale,
            cap=model.config.logit_cap,
            smoothing=smoothing,
            z_weight=z_weight,
            vocab_chunk=how.vocab_chunk,
        )
    return said if smoothing or z_weight else said[:2]


def precision(device: torch.device, how: PretrainConfig) -> AbstractContextManager[object]:
    """bf16 is autocast (Kalamkar and others 2019, arXiv 1905.12322): products in bf16, weights and sums in float32."""
    return torch.autocast(device.type, torch.bfloat16) if how.precision == "bf16" else nullcontext()
