"""The parts of a block that look at one place: positions, rotation, the feed-forward layer. Knows no attention.

Which positions and which norm there are, is said by the leaves of models/positions/ and models/norms/.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.config import GATED, GPTConfig
from models.parts import part

Where = Tensor | slice  # places [B, T], or slice(T): 0..T-1 in each row

# The part that is not linear; in a gated layer it is the gate's (GLU variants: Shazeer 2020, arXiv 2002.05202).
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "swiglu": F.silu,
    "geglu": F.gelu,
    "gelu": F.gelu,  # Hendrycks and Gimpel 2016, arXiv 1606.08415
    "gelu_tanh": partial(F.gelu, approximate="tanh"),  # GPT-2's
    "relu": F.relu,
    "relu2": lambda x: F.relu(x).square(),  # Primer: So and others 2021, arXiv 2109.08668
}


class Positions(nn.Module):
    """How a token knows its place, in one of three ways; each does nothing unless a leaf says what."""

    absolute = False  # the offset belongs to a place, not to a distance: each packed text begins at place 0
    biased = False

    def offset(self, places: Where) -> Tensor | None:
        """[..., T, D], which is added to the embedding."""
        return None

    def angles(self, places: Where) -> tuple[Tensor, Tensor] | None:
        """cos and sin [..., T, 1, K] by which queries and keys are turned; a pair's sines are (-sin, sin)."""
        return None

    def bias(self, distances: Tensor) -> Tensor | None:
        """[..., H, T, S], added to the scores of queries and keys that are [..., T, S] places apart."""
        return None


def make_norm(config: GPTConfig, width: int, kind: str | None = None) -> nn.Module:
    """A norm of `width` channels, [..., D] -> [..., D]; the config's kind where none is named."""
    made: nn.Module = part("norms", kind or config.norm).make(width, config.norm_eps, config.bias)
    return made


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn channel pairs (i, i + K/2) of [..., K], Llama's half-split layout; cos and sin [..., K], as in `angles`."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((second, first), dim=-1) * sin


def activate(name: str, x: Tensor) -> Tensor:
    """The activation of that name: [..., 2 H] -> [..., H] where it is gated (gate first, then up), else elementwise."""
    if name not in GATED:
        return ACTIVATIONS[name](x)
    gate, up = x.chunk(2, dim=-1)
    return ACTIVATIONS[name](gate) * up


class MLP(nn.Module):
    """down(activation(up(x))); where the activation is gated, gate and up are one matrix `gate_up`, one GEMM."""

    gate_up: nn.Linear
    up: nn.Linear

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.activation = config.activation
        if config.activation in GATED:
            self.gate_up = nn.Linear(config.width, 2 * config.hidden, bias=config.bias)
        else:
            self.up = nn.Linear(config.width, config.hidden, bias=config.bias)
        self.down = nn.Linear(config.hidden, config.width, bias=config.bias)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        inner = self.gate_up if self.activation in GATED else self.up
        out: Tensor = self.down(activate(self.activation, inner(x_BTD)))
        return out
