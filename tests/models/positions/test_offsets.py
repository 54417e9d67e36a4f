import math

import torch

from models.positions import learned, none, sinusoidal
from tests.models.choices import choice_model, tokens_of
from tests.models.fakes import tiny_config


def test_sinusoids_are_those_of_the_paper() -> None:
    config = tiny_config(width=10, heads=1, positions="sinusoidal", init_std=0.3)
    table = sinusoidal.make(config).offset(slice(32))
    assert table is not None
    for place, channel in ((0, 0), (7, 0), (7, 3), (31, 8), (31, 9)):
        angle = place / 10000 ** ((channel - channel % 2) / 10)
        wave = math.cos(angle) if channel % 2 else math.sin(angle)
        assert math.isclose(float(table[place, channel]), 0.3 * math.sqrt(2) * wave, abs_tol=1e-6)
    assert math.isclose(float(table.square().mean().sqrt()), 0.3, rel_tol=1e-5)


def test_sinusoids_of_an_odd_width() -> None:
    config = tiny_config(width=5, heads=1, positions="sinusoidal")
    table = sinusoidal.make(config).offset(slice(4))
    assert table is not None
    assert table.shape == (4, 5)


def test_a_learned_place_has_its_own_vector_by_name() -> None:
    model = choice_model("learned")
    weight = model.get_parameter("positions.weight")
    assert weight.shape == (32, 16)
    places = torch.tensor([[3, 9]])
    got = learned.make(model.config)
    got.load_state_dict({"weight": weight.detach()})
    offset = got.offset(places)
    assert offset is not None
    assert offset[0].equal(weight[[3, 9]])
    model(tokens_of(1, 6)).sum().backward()
    assert weight.grad is not None
    assert weight.grad[:6].any(-1).all()
    assert not weight.grad[6:].any()


@torch.no_grad()
def test_without_positions_only_the_set_of_earlier_tokens_counts() -> None:
    """One layer: the last token sees a set, whatever its order. With positions the order counts."""
    tokens, turned = torch.tensor([[5, 6, 7, 8]]), torch.tensor([[7, 5, 6, 8]])
    blind, sighted = choice_model("no positions", layers=1), choice_model("default", layers=1)
    torch.testing.assert_close(blind(tokens)[0, -1], blind(turned)[0, -1])
    assert (sighted(tokens)[0, -1] - sighted(turned)[0, -1]).abs().max() > 1e-4
    found = none.make(blind.config)
    assert found.offset(slice(4)) is found.angles(slice(4)) is found.bias(torch.zeros(1, 4, 4)) is None
