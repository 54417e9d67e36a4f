import math

import torch

from models.attention import Attention, Cache, Sight, cached_mask, packed_mask
from models.layers import rotary_tables, rotate
from tests.models.fakes import tiny_config


def test_attention_is_its_formula() -> None:
    config = tiny_config()
    attention, x = Attention(config, 0), torch.randn(1, 5, config.width)
    cos, sin = rotary_tables(5, config.head_width, config.rotary.base)
    heads = []
    query, key, value = (x[0] @ attention.qkv.weight.T).chunk(3, dim=-1)
    for q, k, v in zip(*(torch.split(part, config.head_width, -1) for part in (query, key, value)), strict=True):
        scores = rotate(q, cos, sin) @ rotate(k, cos, sin).T / math.sqrt(config.head_width)
        scores = scores.masked_fill(~torch.ones(5, 5).tril().bool(), -torch.inf)
        heads.append(scores.softmax(-1) @ v)
    expected = torch.cat(heads, -1) @ attention.out.weight.T
    got = attention(x, Sight(cos[:, None, None], sin[:, None, None]))
    torch.testing.assert_close(got[0], expected)


def test_packed_mask_by_hand() -> None:
    got = packed_mask(torch.tensor([[0, 0, 1, 1]]))[0, 0].int().tolist()
    assert got == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]


def test_cached_mask_by_hand() -> None:
    got = cached_mask(torch.tensor([[1], [2]]), 3)[:, 0, 0].int().tolist()
    assert got == [[1, 1, 0], [1, 1, 1]]


def test_cache_keeps_each_token_at_its_position() -> None:
    config = tiny_config()
    cache = Cache(config, rows=2, length=4)
    new = torch.randn(2, 1, config.heads, config.head_width)
    cache.write(1, torch.tensor([[0], [3]]), new, 2 * new)
    keys, values = cache.read(1, 4)
    assert keys[0, 0].equal(new[0, 0])
    assert keys[1, 3].equal(new[1, 0])
    assert values.equal(2 * keys)
    assert int((keys != 0).sum()) == new.numel()
    assert not cache.read(0, 4)[0].any()
