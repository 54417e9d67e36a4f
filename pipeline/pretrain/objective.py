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
from models.parts import part
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
    z-loss, label smoothing or experts add to what is descended."""
    assert isinstance(model, GPT)
    with precision(inputs_BT.device, how):
        hidden_BTD = model.hidden(inputs_BT)
    said = head_loss(model, hidden_BTD, targets_BT, how)
    aux = part("mlps", "experts").aux_of(model) if model.training and model.config.experts.count else None
    return said if aux is None else (said[0] + aux, said[1], said[-1] if len(said) > 2 else said[0])


def head_loss(model: GPT, hidden_BTD: Tensor, targets_BT: Tensor, how: PretrainConfig) -> tuple[Tensor, ...]:
    """The part of `loss` that comes after the last norm."""
    smoothing, z_weight = (how.label_smoothing, how.z_weight) if model.training else (0.0, 0.0)
    with precision(hidden_BTD.device, how):
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
