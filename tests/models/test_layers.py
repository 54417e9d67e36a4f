import torch

from models.layers import RMSNorm, SwiGLU, rotary_tables, rotate


def test_rmsnorm_is_its_formula() -> None:
    x = torch.randn(3, 8)
    norm = RMSNorm(8, 1e-5)
    with torch.no_grad():
        norm.weight.copy_(torch.arange(8.0))
    expected = x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * torch.arange(8.0)
    torch.testing.assert_close(norm(x), expected)


def test_swiglu_is_its_formula() -> None:
    mlp, x = SwiGLU(4, 6), torch.randn(1, 2, 4)
    gate, up = mlp.gate_up.weight[:6], mlp.gate_up.weight[6:]
    expected = (torch.nn.functional.silu(x @ gate.T) * (x @ up.T)) @ mlp.down.weight.T
    torch.testing.assert_close(mlp(x), expected)


def test_rotary_is_complex_multiplication() -> None:
    cos, sin = rotary_tables(16, 8, 100.0)
    x = torch.randn(16, 8)
    angles = torch.arange(16)[:, None] * 100.0 ** (-torch.arange(4) / 4)
    expected = torch.complex(x[:, :4], x[:, 4:]) * torch.polar(torch.ones(16, 4), angles)
    torch.testing.assert_close(rotate(x, cos, sin), torch.cat((expected.real, expected.imag), -1))


def test_rotary_products_depend_on_the_distance_only() -> None:
    cos, sin = rotary_tables(64, 8, 10000.0)
    query, key = torch.randn(8), torch.randn(8)

    def product(at: int, other: int) -> torch.Tensor:
        return rotate(query, cos[at], sin[at]) @ rotate(key, cos[other], sin[other])

    torch.testing.assert_close(product(10, 3), product(50, 43))
    assert not torch.allclose(product(10, 3), product(50, 42))
