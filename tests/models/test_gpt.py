import pytest
import torch

from models.attention import Cache
from models.gpt import GPT, places_in
from models.init import init_weights
from tests.models.choices import CHOICES, choice_model, tokens_of
from tests.models.fakes import tiny_config, tiny_model


def test_a_token_changes_nothing_before_it() -> None:
    model, tokens = tiny_model(), tokens_of(1, 12)
    changed = tokens.clone()
    changed[0, 7] = (changed[0, 7] + 1) % 300
    before, after = model(tokens), model(changed)
    torch.testing.assert_close(before[:, :7], after[:, :7], rtol=0, atol=0)
    assert (before[:, 7:] - after[:, 7:]).abs().amax(-1).min() > 1e-4  # and every later place sees it


@pytest.mark.parametrize("name", ["default", "learned", "window, alibi, grouped"])
def test_packing_trains_the_same_weights(name: str) -> None:
    model, tokens = choice_model(name), tokens_of(1, 12)
    segments = torch.tensor([[0] * 5 + [1] * 7])
    model(tokens, segments_BT=segments).square().sum().backward()
    packed = [weight.grad for weight in model.parameters()]
    model.zero_grad()
    (model(tokens[:, :5]).square().sum() + model(tokens[:, 5:]).square().sum()).backward()
    for got, weight in zip(packed, model.parameters(), strict=True):
        assert got is not None and weight.grad is not None
        assert (got - weight.grad).norm() < 1e-4 * weight.grad.norm()


def test_places_begin_again_in_each_segment() -> None:
    got = places_in(torch.tensor([[1, 1, 1, 2, 0, 0], [7, 7, 7, 7, 7, 7]]))
    assert got.tolist() == [[0, 1, 2, 0, 0, 1], [0, 1, 2, 3, 4, 5]]


def test_plain_causal_takes_the_kernel_without_a_mask() -> None:
    for name, changes, masked in (
        ("default", {}, False),
        ("window", {"window": 12}, False),  # it cuts nothing off
        ("window", {"window": 11}, True),
        ("alibi", {}, True),
    ):
        model = choice_model(name, **changes)
        assert (model.sight(tokens_of(1, 12), None, None, None).mask is not None) == masked


def test_a_window_reads_only_its_own_part_of_the_cache() -> None:
    model = choice_model("window")
    cache, positions = Cache(model.config, rows=2, length=32), torch.tensor([[20], [17]])
    sight = model.sight(tokens_of(2, 1), positions, None, cache)
    assert sight.slots == slice(13, 21)
    assert sight.mask is not None
    assert sight.mask.sum(-1).flatten().tolist() == [5, 5]


def test_a_cap_keeps_logits_below_it_and_small_ones_as_they_are() -> None:
    capped, plain = choice_model("cap"), choice_model("default")
    hidden = torch.randn(3, 16)
    torch.testing.assert_close(capped.logits(hidden), 2.0 * torch.tanh(plain.logits(hidden) / 2.0))
    assert capped.logits(100 * hidden).abs().max() <= 2.0


@pytest.mark.parametrize("name", ["default", "untied", "mup", "cap"])
def test_logits_are_head_and_scale_and_cap_as_the_fused_loss_has_them(name: str) -> None:
    model, hidden = choice_model(name), torch.randn(3, 16)
    expected = model.logit_scale * hidden @ model.head_weight.T
    cap = model.config.logit_cap
    torch.testing.assert_close(model.logits(hidden), cap * torch.tanh(expected / cap) if cap else expected)
    assert (model.head_weight is model.embedding.weight) == model.config.tie_embeddings


def test_the_embedding_is_scaled_and_places_are_not() -> None:
    """T-Fixup's tokens come x sqrt(width)."""
    model, tokens = choice_model("tfixup", positions="learned"), tokens_of(1, 4)
    expected = 4.0 * model.embedding.weight[tokens] + model.get_parameter("positions.weight")[:4]
    torch.testing.assert_close(model.embed(tokens), expected)


@pytest.mark.parametrize("name", CHOICES)
def test_a_shape_can_be_built_without_memory(name: str) -> None:
    with torch.device("meta"):
        model = GPT(tiny_config(**CHOICES[name]))
    assert {key: weight.shape for key, weight in model.state_dict().items()} == {
        key: weight.shape for key, weight in choice_model(name).state_dict().items()
    }


def test_branches_are_scaled() -> None:
    """CompleteP at twice the base depth: branches are halved."""
    model = choice_model("completep")
    block, x = model.blocks[0], torch.randn(1, 4, 16)
    sight = model.sight(tokens_of(1, 4), None, None, None)
    middle = x + 0.5 * block.attention(block.attention_norm(x), sight)
    torch.testing.assert_close(block(x, sight), middle + 0.5 * block.mlp(block.mlp_norm(middle)))


def test_recomputation_keeps_less_for_the_gradient() -> None:
    def kept(recompute: bool) -> int:
        model, sizes = tiny_model(layers=4), []
        model.recompute = recompute
        with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.numel()) or x, lambda x: x):
            model(tokens_of(2, 32))
        return sum(sizes)

    assert kept(True) < 0.5 * kept(False)


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
