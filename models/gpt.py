"""The model: embedding, blocks, final norm, output head; and its initial weights. Knows no loss, no optimiser.

The architecture is Llama's, so that other tools load what we export; see models/layouts/llama.py.
"""

import hashlib
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import Attention, Cache, Sight, cached_mask, packed_mask
from models.config import GPTConfig
from models.layers import RMSNorm, SwiGLU, rotary_tables

EMBEDDING_STD = 0.02


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.width, config.norm_eps)
        self.attention = Attention(config, layer)
        self.mlp_norm = RMSNorm(config.width, config.norm_eps)
        self.mlp = SwiGLU(config.width, config.hidden)

    def forward(self, x_BTD: Tensor, sight: Sight) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), sight)
        out: Tensor = x_BTD + self.mlp(self.mlp_norm(x_BTD))
        return out


class GPT(nn.Module):
    """A decoder-only transformer. Built with torch's default weights: call `init_weights`, or load a state."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        self.norm = RMSNorm(config.width, config.norm_eps)
        self.head = None if config.tie_embeddings else nn.Linear(config.width, config.vocab_size, bias=False)
        cos, sin = rotary_tables(config.context, config.head_width, config.rotary.base)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(
        self,
        tokens_BT: Tensor,
        positions_BT: Tensor | None = None,
        segments_BT: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Logits [B, T, V] of the next token at each place.

        positions default to 0..T-1 in each row. Tokens with different segments do not see each other (packing).
        With a cache the tokens are stored at their positions and see the slots up to them; without positions the cache
        counts as empty (the prompt). Raises ValueError for a row longer than the context.
        """
        return self.logits(self.hidden(tokens_BT, positions_BT, segments_BT, cache))

    def hidden(
        self,
        tokens_BT: Tensor,
        positions_BT: Tensor | None = None,
        segments_BT: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """The normed last residual stream [B, T, D]; arguments as in `forward`."""
        sight = self._sight(tokens_BT, positions_BT, segments_BT, cache)
        x_BTD = self.embedding(tokens_BT)
        for block in self.blocks:
            x_BTD = block(x_BTD, sight)
        out: Tensor = self.norm(x_BTD)
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., D] -> [..., V] by the output head."""
        return F.linear(hidden, self.embedding.weight if self.head is None else self.head.weight)

    def _sight(
        self, tokens_BT: Tensor, positions_BT: Tensor | None, segments_BT: Tensor | None, cache: Cache | None
    ) -> Sight:
        B, T = tokens_BT.shape
        if self.config.context < T:
            raise ValueError(f"{T} tokens in a row, but the context is {self.config.context}")
        assert cache is None or segments_BT is None, "a cache holds one segment a row"
        if positions_BT is None:
            cos, sin = self.cos[:T, None, None], self.sin[:T, None, None]
            slots_BT = torch.arange(T).expand(B, T) if cache is not None else None
        else:
            cos, sin = self.cos[positions_BT][:, :, None, None], self.sin[positions_BT][:, :, None, None]
            slots_BT = positions_BT
        mask = None
        if segments_BT is not None:
            mask = packed_mask(segments_BT)
        elif cache is not None and positions_BT is not None:
            mask = cached_mask(positions_BT, int(positions_BT.max()) + 1)
        return Sight(cos, sin, mask, cache, slots_BT)


def named_generator(seed: int, name: str) -> torch.Generator:
    """A generator keyed by (seed, name), whatever was drawn before and whatever else is in the model."""
    key = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(key[:8], "little"))


def init_weights(model: nn.Module, seed: int) -> None:
    """Draw each parameter from its own generator, keyed by (seed, full name); norms start at one, biases at zero.

    Matrices: N(0, 2 / (5 fan_in)) ("small init", Nguyen and Salazar 2019, arXiv 1910.05895); those that write to the
    residual stream are divided by sqrt(2 layers) (GPT-2); the embedding has std 0.02, as it is the head too.
    """
    blocks = sum(isinstance(module, Block) for module in model.modules())
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.fill_(0.0 if name.endswith("bias") else 1.0)
                continue
            std = math.sqrt(0.4 / weight.shape[1])
            if name.endswith("embedding.weight"):
                std = EMBEDDING_STD
            elif name.endswith(("attention.out.weight", "mlp.down.weight")):
                std /= math.sqrt(2 * blocks)
            weight.copy_(torch.randn(weight.shape, generator=named_generator(seed, name)) * std)
