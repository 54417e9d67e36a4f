import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from models.attention import Attention, Cache, Sight, attention_mask
from models.layers import rotate
from models.parts import part
from tests.models.fakes import tiny_config


@pytest.mark.parametrize("changes", [
    {}, {"heads": 4, "kv_heads": 2}, {"heads": 4, "kv_heads": 1, "qk_norm": True, "bias": True},
    {"init": "mup", "base_width": 8},
])  # fmt: skip
def test_attention_is_its_formula(changes: dict[str, Any]) -> None:
    config = tiny_config(**changes)
    attention, x, K = Attention(config, 0), torch.randn(1, 5, config.width), config.head_width
    cos, sin = part("positions", "rotary").tables(config.rotary, 5, K)
    bias = 0.0 if attention.qkv.bias is None else attention.qkv.bias
    rows = torch.split(x[0] @ attention.qkv.weight.T + bias, K, -1)
    H, G = config.heads, config.key_heads
    # muP: 8 / K in the place of 1 / sqrt(K)
    size = 8 / K if config.init == "mup" else 1 / math.sqrt(K)
    heads = []
    for head in range(H):
        q, k, v = rows[head], rows[H + head // (H // G)], rows[H + G + head // (H // G)]
        if config.qk_norm:
            q, k = (functional.rms_norm(each, (K,), eps=config.norm_eps) for each in (q, k))
        scores = rotate(q, cos, sin) @ rotate(k, cos, sin).T * size
        scores = scores.masked_fill(~torch.ones(5, 5).tril().bool(), -torch.inf)
        heads.append(scores.softmax(-1) @ v)
    expected = functional.linear(torch.cat(heads, -1), attention.out.weight, attention.out.bias)
    torch.testing.assert_close(attention(x, Sight((cos[:, None], sin[:, None])))[0], expected)


def distances(queries: list[list[int]], slots: int) -> torch.Tensor:
    return torch.tensor(queries)[:, :, None] - torch.arange(slots)


def test_packed_mask_by_hand() -> None:
    got = attention_mask(distances([[0, 1, 2, 3]], 4), segments_BT=torch.tensor([[0, 0, 1, 1]]))[0, 0].int().tolist()
    assert got == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]


def test_cached_mask_by_hand() -> None:
    assert attention_mask(distances([[1], [2]], 3))[:, 0, 0].int().tolist() == [[1, 1, 0], [1, 1, 1]]


def test_window_by_hand() -> None:
    got = attention_mask(distances([[0, 1, 2, 3]], 4), window=2)[0, 0].int().tolist()
    assert got == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]


def test_a_bias_stays_where_something_is_seen() -> None:
    bias = torch.arange(8.0).view(1, 2, 2, 2)
    got = attention_mask(distances([[0, 1]], 2), bias=bias)
    assert got.flatten().tolist() == [0, -math.inf, 2, 3, 4, -math.inf, 6, 7]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(0, 10), st.lists(st.integers(0, 2), min_size=9, max_size=9))
def test_each_query_sees_itself_and_what_the_rule_says(length: int, window: int, segments: list[int]) -> None:
    got = attention_mask(distances([list(range(length))], length), window, torch.tensor([segments[:length]]))
    for i in range(length):
        for j in range(length):
            near = i - j >= 0 and (not window or i - j < window)
            assert bool(got[0, 0, i, j]) == (near and segments[i] == segments[j])
        assert got[0, 0, i, i]


def test_cache_keeps_each_token_at_its_position_with_the_heads_of_keys() -> None:
    config = tiny_config(heads=4, kv_heads=2)
    cache = Cache(config, rows=2, length=4)
    new = torch.randn(2, 1, 2, config.head_width)
    cache.write(1, torch.tensor([[0], [3]]), new, 2 * new)
    keys, values = cache.read(1, slice(0, 4))
    assert keys[0, 0].equal(new[0, 0])
    assert keys[1, 3].equal(new[1, 0])
    assert values.equal(2 * keys)
    assert int((keys != 0).sum()) == new.numel()
    assert not cache.read(0, slice(0, 4))[0].any()
