import torch

from models.heads import ScalarModel
from tests.models.fakes import tiny_config, tiny_model


def test_one_value_a_token_and_padding_changes_nothing_before_it() -> None:
    model = ScalarModel(tiny_config())
    model.init_head(0.5)
    tokens = torch.randint(0, 300, (2, 7))
    padded = torch.nn.functional.pad(tokens, (0, 3))
    values = model(tokens)
    assert values.shape == (2, 7)
    torch.testing.assert_close(model(padded)[:, :7], values)


def test_segments_do_not_see_each_other() -> None:
    model = ScalarModel(tiny_config())
    tokens = torch.randint(0, 300, (1, 8))
    packed = model(tokens, torch.tensor([[0, 0, 0, 1, 1, 1, 1, 1]]))
    torch.testing.assert_close(packed[:, 3:], model(tokens[:, 3:]), rtol=1e-5, atol=1e-5)


def test_the_body_takes_a_trained_state_and_the_head_starts_as_asked() -> None:
    model, trained = ScalarModel(tiny_config()), tiny_model()
    model.body.load_state_dict(trained.state_dict())
    tokens = torch.randint(0, 300, (1, 5))
    assert model.body(tokens).equal(trained(tokens))
    model.init_head(0.0)
    assert not model(tokens).any()
    model.init_head(1.0, seed=3)
    first = model.head.weight.clone()
    model.init_head(1.0, seed=3)
    assert model.head.weight.equal(first)
    assert 0.5 < float(first.detach().std()) < 1.6
