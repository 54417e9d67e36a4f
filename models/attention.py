"""Causal self-attention, who sees whom, and the key-value cache. Knows no block around it.

Letters: B rows, T tokens of a row, S slots that are looked at, D width, H heads of queries, G heads of keys and values,
K channels of a head.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.config import GPTConfig
from models.init import scale
from models.layers import make_norm, rotate


class Cache:
    """Keys and values of every layer, each at the slot of its position: [B, length, G, K] a layer.

    Rows may have different lengths: a query at position p sees the slots up to p of its own row and no other.
    """

    def __init__(self, config: GPTConfig, rows: int, length: int) -> None:
        shape = (config.layers, rows, length, config.key_heads, config.head_width)
        self.keys, self.values = torch.zeros(shape), torch.zeros(shape)  # zeros: 0 x garbage could be NaN

    def write(self, layer: int, positions_BT: Tensor, keys_BTGK: Tensor, values_BTGK: Tensor) -> None:
        """Store the new tokens' keys and values at their positions."""
        rows = torch.arange(len(positions_BT))[:, None]
        self.keys[layer][rows, positions_BT] = keys_BTGK
        self.values[layer][rows, positions_BT] = values_BTGK

    def read(self, layer: int, slots: slice) -> tuple[Tensor, Tensor]:
        """Keys and values of these slots, [B, S, G, K] each."""
        return self.keys[layer][:, slots], self.values[layer][:, slots]


@dataclass(frozen=True)
class Sight:
    """What every layer of one forward pass shares: the angles, who sees whom, and where the cache is used."""

    angles: tuple[Tensor, Tensor] | None = None  # [T, 1, K] or [B, T, 1, K] each
    mask: Tensor | None = None  # bool or additive [B or 1, H or 1, T, S]; None is plain causal
    cache: Cache | None = None
    positions_BT: Tensor | None = None  # where the cache is written
    slots: slice | None = None  # what of the cache is read; None is the new tokens only


def attention_mask(
    distances_BTS: Tensor, window: int = 0, segments_BT: Tensor | None = None, bias: Tensor | None = None
) -> Tensor:
    """Who sees whom, [B, H or 1, T, S]: bool, or `bias` with minus infinity where nothing is seen.

    A query sees keys at distance 0 and above (itself, and what stands before it), below `window` unless that is 0
    (Longformer: Beltagy and others 2020, arXiv 2004.05150), and in its own segment.
    """
    seen_BTS = distances_BTS >= 0
    if window:
        seen_BTS = seen_BTS & (distances_BTS < window)
    if segments_BT is not None:
        seen_BTS = seen_BTS & (segments_BT[:, :, None] == segments_BT[:, None, :])
    return seen_BTS[:, None] if bias is None else bias.masked_fill(~seen_BTS[:, None], -torch.inf)


class Attention(nn.Module):
    """Multi-head causal attention; query, key and value are one matrix, one GEMM: H heads, then G, then G.

    G < H is grouped-query attention (Ainslie and others 2023, arXiv 2305.13245): each key and value serves H / G
    neighbouring heads of queries. With `qk_norm` each head's query and key is normed before it is turned (Henry 2020,
    arXiv 2010.04245, by RMS as in Qwen3).
    """

    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.heads, self.key_heads = layer, config.heads, config.key_heads
        self.head_width, self.dropout = config.head_width, config.attention_dropout
        rows = (config.heads + 2 * config.key_heads) * config.head_width
        self.qkv = nn.Linear(config.width, rows, bias=config.bias)
        self.out = nn.Linear(config.width, config.width, bias=config.bias)
        self.query_norm = make_norm(config, config.head_width, "rms") if config.qk_norm else None
        self.key_norm = make_norm(config, config.head_width, "rms") if config.qk_norm else None
        factor = scale(config, "attention_scale")
        self.scale = None if factor == 1.0 else factor * config.head_width**-0.5  # None: torch's own, the same

    def forward(self, x_BTD: Tensor, sight: Sight) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        B, T, _ = x_BTD.shape
        H, G = self.heads, self.key_heads
        qkv = self.qkv(x_BTD).view(B, T, H + 2 * G, self.head_width)
        both, values = qkv.split((H + G, G), dim=2)
        if self.query_norm is not None and self.key_norm is not None:
            queries, keys = both.split((H, G), dim=2)
            both = torch.cat((self.query_norm(queries), self.key_norm(keys)), dim=2)
        if sight.angles is not None:
            both = rotate(both, *sight.angles)
        queries, keys = both.split((H, G), dim=2)
        if sight.cache is not None:
            assert sight.positions_BT is not None
            sight.cache.write(self.layer, sight.positions_BT, keys, values)
            if sight.slots is not None:
                keys, values = sight.cache.read(self.layer, sight.slots)
        mixed = F.scaled_dot_product_attention(
            queries.transpose(1, 2),
            keys.transpose(1, 2),
            values.transpose(1, 2),
            attn_mask=sight.mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=sight.mask is None,
            scale=self.scale,
            enable_gqa=G < H,
        )
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out
