import pytest
import torch

from models.positions.alibi import make, slopes
from tests.models.choices import choice_model
from tests.models.fakes import tiny_config


def test_slopes_of_powers_of_two() -> None:
    assert slopes(1) == [2.0**-8]
    assert slopes(8) == [2.0**-i for i in range(1, 9)]
    assert slopes(16) == pytest.approx([2.0 ** (-i / 2) for i in range(1, 17)])


def test_slopes_between_powers_of_two_are_filled_from_the_power_above() -> None:
    assert slopes(3) == pytest.approx([*slopes(2), slopes(4)[0]])
    assert slopes(12) == pytest.approx([*slopes(8), *slopes(16)[0:8:2]])
    for heads in range(1, 40):
        assert len(slopes(heads)) == len(set(slopes(heads))) == heads
        assert all(0 < slope < 1 for slope in slopes(heads))


@pytest.mark.parametrize("heads", [3, 8, 12])
def test_slopes_are_those_of_transformers(heads: int) -> None:
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    theirs = build_alibi_tensor(torch.ones(1, 5), heads, torch.float32)  # [H, 1, S]: slope x place of the key
    bias = make(tiny_config(positions="alibi", width=2 * heads, heads=heads)).bias(torch.arange(4, -1, -1)[None, None])
    assert bias is not None
    torch.testing.assert_close(bias[0] + 4 * torch.tensor(slopes(heads))[:, None, None], theirs)


@torch.no_grad()
def test_a_score_falls_with_the_distance_by_the_slope() -> None:
    """Queries and keys at zero: the weights are softmax(-slope x distance)."""
    model = choice_model("alibi", layers=1)
    attention, width = model.get_submodule("blocks.0.attention"), model.config.width
    attention.get_parameter("qkv.weight")[: 2 * width] = 0.0
    attention.get_parameter("qkv.weight")[2 * width :] = torch.eye(width)
    attention.get_parameter("out.weight").copy_(torch.eye(width))
    x, tokens = torch.randn(1, 6, width), torch.zeros(1, 6, dtype=torch.int64)
    got = attention(x, model.sight(tokens, None, None, None))[0, -1]
    for head, slope in enumerate(slopes(2)):
        weights = (-slope * torch.arange(5.0, -1, -1)).softmax(0)
        part = slice(head * 8, head * 8 + 8)
        torch.testing.assert_close(got[part], weights @ x[0, :, part])
