import pytest
import torch

from models.parts import part
from tests.models.choices import choice_model


def test_rms_is_its_formula() -> None:
    x, norm = torch.randn(3, 8), part("norms", "rms").make(8, 1e-2, False)
    with torch.no_grad():
        norm.weight.copy_(torch.arange(8.0))
    expected = x / (x.pow(2).mean(-1, keepdim=True) + 1e-2).sqrt() * torch.arange(8.0)
    torch.testing.assert_close(norm(x), expected)
    assert norm(x.bfloat16()).dtype == torch.float32


def test_layer_is_its_formula() -> None:
    x, norm = torch.randn(3, 8), part("norms", "layer").make(8, 1e-2, True)
    with torch.no_grad():
        norm.weight.copy_(torch.arange(8.0))
        norm.bias.fill_(3.0)
    centred = x - x.mean(-1, keepdim=True)
    expected = centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-2).sqrt() * torch.arange(8.0) + 3
    torch.testing.assert_close(norm(x), expected)


@pytest.mark.parametrize(("name", "bias", "parameters"), [
    ("rms", False, ["weight"]), ("rms", True, ["weight"]), ("layer", False, ["weight"]),
    ("layer", True, ["weight", "bias"]), ("batch", True, ["weight", "bias"]), ("none", True, []),
])  # fmt: skip
def test_which_parameters_a_norm_has(name: str, bias: bool, parameters: list[str]) -> None:
    assert [key for key, _ in part("norms", name).make(8, 1e-5, bias).named_parameters()] == parameters


def test_no_norm_changes_nothing() -> None:
    x = torch.randn(2, 8)
    assert part("norms", "none").make(8, 1e-5, False)(x) is x


def test_an_unknown_norm_is_refused() -> None:
    with pytest.raises(ValueError, match="no quick among models/norms"):
        part("norms", "quick")


@pytest.mark.parametrize(("name", "last"), [("default", True), ("post", False), ("no norm", False)])
def test_a_post_norm_model_has_no_norm_after_its_last_block(name: str, last: bool) -> None:
    assert ("norm.weight" in choice_model(name).state_dict()) == last


@torch.no_grad()
def test_a_post_norm_stream_is_normed_after_each_sum() -> None:
    model = choice_model("post")
    block, x = model.blocks[0], torch.randn(1, 4, 16)
    sight = model.sight(torch.zeros(1, 4, dtype=torch.int64), None, None, None)
    middle = block.attention_norm(x + block.attention(x, sight))
    torch.testing.assert_close(block(x, sight), block.mlp_norm(middle + block.mlp(middle)))
