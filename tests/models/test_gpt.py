import pytest
import torch

from models.attention import Cache
from models.gpt import GPT, init_weights
from tests.models.fakes import tiny_config, tiny_model


def tokens_of(rows: int, length: int) -> torch.Tensor:
    return torch.randint(0, 300, (rows, length), generator=torch.Generator().manual_seed(1))


def test_a_token_changes_nothing_before_it() -> None:
    model, tokens = tiny_model(), tokens_of(1, 12)
    changed = tokens.clone()
    changed[0, 7] = (changed[0, 7] + 1) % 300
    before, after = model(tokens), model(changed)
    torch.testing.assert_close(before[:, :7], after[:, :7], rtol=0, atol=0)
    assert (before[:, 7:] - after[:, 7:]).abs().amax(-1).min() > 1e-4  # and every later place sees it


@pytest.mark.parametrize("restart", [True, False])
def test_packed_logits_are_the_unpacked_ones(restart: bool) -> None:
    model, lengths = tiny_model(), [5, 1, 9, 7]
    tokens = tokens_of(1, sum(lengths))
    segments = torch.repeat_interleave(torch.arange(4), torch.tensor(lengths))[None]
    positions = torch.cat([torch.arange(n) for n in lengths])[None] if restart else None
    packed = torch.split(model(tokens, positions, segments)[0], lengths)
    alone = [model(part[None])[0] for part in torch.split(tokens[0], lengths)]
    for got, expected in zip(packed, alone, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_packing_trains_the_same_weights() -> None:
    model, tokens = tiny_model(), tokens_of(1, 12)
    segments = torch.tensor([[0] * 5 + [1] * 7])
    model(tokens, segments_BT=segments).square().sum().backward()
    packed = [weight.grad for weight in model.parameters()]
    model.zero_grad()
    (model(tokens[:, :5]).square().sum() + model(tokens[:, 5:]).square().sum()).backward()
    for got, weight in zip(packed, model.parameters(), strict=True):
        assert got is not None and weight.grad is not None
        assert (got - weight.grad).norm() < 1e-4 * weight.grad.norm()


def test_cache_gives_the_full_forward() -> None:
    model, tokens = tiny_model(), tokens_of(3, 12)
    full = model(tokens)
    cache = Cache(model.config, rows=3, length=12)
    parts = [model(tokens[:, :5], cache=cache)]
    for start, stop in ((5, 6), (6, 9), (9, 12)):
        positions = torch.arange(start, stop).expand(3, -1)
        parts.append(model(tokens[:, start:stop], positions, cache=cache))
    torch.testing.assert_close(torch.cat(parts, 1), full, rtol=1e-5, atol=1e-5)


def test_a_row_beyond_the_context_is_refused() -> None:
    with pytest.raises(ValueError, match="33 tokens in a row, but the context is 32"):
        tiny_model()(tokens_of(1, 33))


def test_initial_weights_go_by_name_not_by_order_or_depth() -> None:
    shallow, deep = GPT(tiny_config(layers=1)), GPT(tiny_config(layers=3))
    init_weights(shallow, 7)
    torch.randn(100)  # the global generator plays no part
    init_weights(deep, 7)
    ours, theirs = shallow.state_dict(), deep.state_dict()
    for name in ("embedding.weight", "blocks.0.attention.qkv.weight", "norm.weight"):
        assert ours[name].equal(theirs[name])
    other = GPT(tiny_config(layers=1))
    init_weights(other, 8)
    assert not other.embedding.weight.equal(shallow.embedding.weight)
    assert not theirs["blocks.0.attention.qkv.weight"].equal(theirs["blocks.1.attention.qkv.weight"])


def test_initial_weights_have_the_stated_size() -> None:
    model = GPT(tiny_config(width=128, hidden=256, vocab_size=1000))
    init_weights(model, 0)
    state = model.state_dict()
    stds = {
        "embedding.weight": 0.02,
        "blocks.0.attention.qkv.weight": (0.4 / 128) ** 0.5,
        "blocks.1.attention.out.weight": (0.4 / 128 / 4) ** 0.5,
        "blocks.1.mlp.down.weight": (0.4 / 256 / 4) ** 0.5,
    }
    for name, std in stds.items():
        assert float(state[name].std()) == pytest.approx(std, rel=0.03), name
    assert state["blocks.0.mlp_norm.weight"].eq(1).all()
