import math

import pytest
import torch

from models.config import GATED
from models.layers import ACTIVATIONS, MLP, activate
from tests.models.fakes import tiny_config

FORMULAS = {
    "swiglu": lambda x: x / (1 + math.exp(-x)),
    "geglu": lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
    "gelu": lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "relu": lambda x: max(x, 0.0),
    "relu2": lambda x: max(x, 0.0) ** 2,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation_is_its_formula(name: str) -> None:
    assert set(FORMULAS) == set(ACTIVATIONS)
    points = [-3.0, -0.4, 0.0, 0.7, 2.5]
    expected = torch.tensor([FORMULAS[name](x) for x in points])
    if name in GATED:
        gated = activate(name, torch.tensor([points + [2.0] * 5]))  # gate first, then up
        torch.testing.assert_close(gated[0], 2 * expected)
    else:
        torch.testing.assert_close(activate(name, torch.tensor(points)), expected)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ["swiglu", "relu2"])
def test_the_feed_forward_layer_is_its_formula(activation: str, bias: bool) -> None:
    config = tiny_config(activation=activation, bias=bias)
    mlp, x = MLP(config), torch.randn(1, 3, 16)
    state = mlp.state_dict()
    inner = "gate_up" if activation in GATED else "up"
    assert list(state) == [f"{part}.{kind}" for part in (inner, "down") for kind in ("weight", "bias")[: 1 + bias]]
    made = x @ state[f"{inner}.weight"].T + state.get(f"{inner}.bias", 0.0)
    gate, up = made[..., : config.hidden], made[..., config.hidden :]
    made = torch.nn.functional.silu(gate) * up if activation in GATED else made.relu() ** 2
    torch.testing.assert_close(mlp(x), made @ state["down.weight"].T + state.get("down.bias", 0.0))
