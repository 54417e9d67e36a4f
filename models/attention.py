"""Causal self-attention, its mask for packed rows, and the key-value cache. Knows no block around it.

Letters: B rows, T tokens of a row, S slots that are looked at, D width, H heads, K channels of a head.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.config import GPTConfig
from models.layers import rotate


class Cache:
    """Keys and values of every layer, each at the slot of its position: [B, length, H, K] a layer.

    Rows may have different lengths: a query at position p sees the slots 0..p of its own row and no other.
    """

    def __init__(self, config: GPTConfig, rows: int, length: int) -> None:
        shape = (config.layers, rows, length, config.heads, config.head_width)
        self.keys, self.values = torch.zeros(shape), torch.zeros(shape)  # zeros: 0 x garbage could be NaN

    def write(self, layer: int, positions_BT: Tensor, keys_BTHK: Tensor, values_BTHK: Tensor) -> None:
        """Store the new tokens' keys and values at their positions."""
        rows = torch.arange(len(positions_BT))[:, None]
        self.keys[layer][rows, positions_BT] = keys_BTHK
        self.values[layer][rows, positions_BT] = values_BTHK

    def read(self, layer: int, slots: int) -> tuple[Tensor, Tensor]:
        """The first `slots` keys and values, [B, S, H, K] each."""
        return self.keys[layer][:, :slots], self.values[layer][:, :slots]


@dataclass(frozen=True)
class Sight:
    """What every layer of one forward pass shares: the angles, who sees whom, and where the cache is written."""

    cos: Tensor  # [T, 1, 1, K/2] or [B, T, 1, 1, K/2]
    sin: Tensor
    mask: Tensor | None = None  # bool [B, 1, T, S]; None is plain causal
    cache: Cache | None = None
    positions_BT: Tensor | None = None  # given with a cache


def packed_mask(segments_BT: Tensor) -> Tensor:
    """Bool [B, 1, T, T]: a token sees itself and what stands before it in its own segment."""
    same = segments_BT[:, :, None] == segments_BT[:, None, :]
    return same.tril()[:, None]


def cached_mask(positions_BT: Tensor, slots: int) -> Tensor:
    """Bool [B, 1, T, S]: a query at position p sees the cache's slots 0..p."""
    return (torch.arange(slots) <= positions_BT[:, :, None])[:, None]


class Attention(nn.Module):
    """Multi-head causal attention with rotary positions; query, key and value are one matrix, one GEMM."""

    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.heads = layer, config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x_BTD: Tensor, sight: Sight) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        B, T, D = x_BTD.shape
        qkv = self.qkv(x_BTD).view(B, T, 3, self.heads, D // self.heads)
        queries, keys = rotate(qkv[:, :, :2], sight.cos, sight.sin).unbind(2)
        values = qkv[:, :, 2]
        if sight.cache is not None:
            assert sight.positions_BT is not None
            sight.cache.write(self.layer, sight.positions_BT, keys, values)
            if sight.mask is not None:
                keys, values = sight.cache.read(self.layer, sight.mask.shape[-1])
        mixed = F.scaled_dot_product_attention(
            queries.transpose(1, 2),
            keys.transpose(1, 2),
            values.transpose(1, 2),
            attn_mask=sight.mask,
            is_causal=sight.mask is None,
        )
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(B, T, D))
        return out
