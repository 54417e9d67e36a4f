"""What every choice of a shape owes: causality, packing, the cache, counts, training, recomputation, and an effect."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from models.attention import Cache
from models.generate import generate
from models.mlps.experts import aux_of
from tests.models.choices import CHOICES, choice_model, tokens_of

ALL = pytest.mark.parametrize("name", CHOICES)


def assert_near(got: torch.Tensor, expected: torch.Tensor) -> None:
    """Float32's rounding, beside the largest logit."""
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


@ALL
@torch.no_grad()
def test_a_token_changes_nothing_before_it_and_itself(name: str) -> None:
    model, tokens = choice_model(name), tokens_of(1, 12)
    changed = tokens.clone()
    changed[0, 7] = (changed[0, 7] + 1) % 300
    before, after = model(tokens), model(changed)
    torch.testing.assert_close(before[:, :7], after[:, :7], rtol=0, atol=1e-6)
    moved = (before[0] - after[0]).abs().amax(-1)
    reach = 1 + model.config.layers * (model.config.window - 1) if model.config.window else 12
    assert moved[7] > 1e-5
    assert reach == 1 or moved[8 : 7 + reach].max() > 1e-5
    assert moved[7 + reach :].eq(0).all()


@ALL
@pytest.mark.parametrize("given", [True, False])
@torch.no_grad()
def test_packed_logits_are_the_unpacked_ones(name: str, given: bool) -> None:
    model, lengths = choice_model(name), [5, 1, 9, 7]
    tokens = tokens_of(1, sum(lengths))
    segments = torch.repeat_interleave(torch.arange(4), torch.tensor(lengths))[None]
    positions = torch.cat([torch.arange(n) for n in lengths])[None] if given else None
    packed = torch.split(model(tokens, positions, segments)[0], lengths)
    for got, alone in zip(packed, torch.split(tokens[0], lengths), strict=True):
        assert_near(got, model(alone[None])[0])


@ALL
@torch.no_grad()
def test_cache_gives_the_full_forward(name: str) -> None:
    """Rows go on from different places, by one token and by several at a time."""
    model, tokens, begins = choice_model(name), tokens_of(3, 14), torch.tensor([7, 3, 5])
    full = model(tokens)
    cache = Cache(model.config, rows=3, length=14)
    assert cache.keys.shape == (2, 3, 14, model.config.key_heads, model.config.head_width)
    prompt = model(tokens[:, :7], cache=cache)
    assert_near(prompt, full[:, :7])
    done = 0
    for count in (1, 1, 3, 2):
        places = begins[:, None] + done + torch.arange(count)
        got = model(tokens.gather(1, places), places, cache=cache)
        expected = full.gather(1, places[:, :, None].expand(-1, -1, full.shape[-1]))
        assert_near(got, expected)
        done += count


@ALL
def test_greedy_text_is_that_of_the_full_forward(name: str) -> None:
    model, prompts = choice_model(name), [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14]]
    keys = [(row,) for row in range(3)]
    samples = generate(model, prompts, max_new=9, temperature=0.0, stop_id=-1, pad_id=0, keys=keys)
    for prompt, sample in zip(prompts, samples, strict=True):
        row = torch.tensor([prompt + sample.tokens])
        assert model(row)[0, len(prompt) - 1 : -1].argmax(-1).tolist() == sample.tokens


@ALL
def test_parameters_are_those_of_the_real_model(name: str) -> None:
    model = choice_model(name)
    assert model.config.parameters() == sum(weight.numel() for weight in model.parameters())
    experts, config = model.config.experts, model.config
    each = sum(w.numel() for n, w in model.named_parameters() if ".mlp." in n and "router" not in n and w.ndim > 1)
    asleep = config.parameters() - config.active_parameters()
    if not experts.count:
        assert asleep == 0
    elif not config.bias:
        assert asleep == each * (experts.count - experts.top_k) // experts.count


@ALL
@torch.no_grad()
def test_flops_are_those_that_torch_counts(name: str) -> None:
    model = choice_model(name)
    tokens = tokens_of(1, model.config.context)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:  # it does not know the fused kernel
        model(tokens)
    assert model.config.flops_per_token() * model.config.context == 3 * counter.get_total_flops()


@ALL
def test_every_weight_is_trained_and_recomputation_gives_the_same_bits(name: str) -> None:
    def gradients(recompute: bool) -> list[torch.Tensor | None]:
        model = choice_model(name).train()
        model.recompute = recompute
        torch.manual_seed(3)  # dropout's
        descended = model(tokens_of(2, 12)).log_softmax(-1)[..., 5].sum()
        aux = aux_of(model)
        (descended if aux is None else descended + aux).backward()
        return [weight.grad for weight in model.parameters()]

    kept, again = gradients(False), gradients(True)
    for (key, _), one, two in zip(choice_model(name).named_parameters(), kept, again, strict=True):
        assert one is not None and two is not None, key
        assert one.isfinite().all() and one.any(), key
        assert one.equal(two), key


@ALL
@torch.no_grad()
def test_bf16_is_near(name: str) -> None:
    model, tokens = choice_model(name), tokens_of(2, 12)
    with torch.autocast("cpu", torch.bfloat16):
        near = model(tokens).float()
    exact = model(tokens)
    if not model.config.experts.count:  # a token on the edge between two experts may fall to the other side
        assert (near - exact).norm() < 0.05 * exact.norm()
    assert near.isfinite().all()


@pytest.mark.parametrize("name", [name for name in CHOICES if name not in ("default", "dropout")])
@torch.no_grad()
def test_a_choice_changes_the_logits(name: str) -> None:
    """Against the default model with the same weights, where a weight of the same name and shape is in both."""
    model, plain = choice_model(name), choice_model("default")
    state, mine = plain.state_dict(), model.state_dict()
    model.load_state_dict({key: state[key] if _same(key, mine, state) else mine[key] for key in mine})
    assert (model(tokens_of(1, 20)) - plain(tokens_of(1, 20))).abs().max() > 1e-3


def _same(key: str, mine: dict[str, torch.Tensor], state: dict[str, torch.Tensor]) -> bool:
    return key in state and mine[key].shape == state[key].shape


def test_dropout_is_for_training_and_goes_by_the_seed() -> None:
    model, tokens = choice_model("dropout"), tokens_of(2, 12)
    calm = model(tokens)
    torch.testing.assert_close(calm, choice_model("default")(tokens), rtol=0, atol=0)
    model.train()
    drawn = []
    for seed in (1, 2, 1):
        torch.manual_seed(seed)
        drawn.append(model(tokens))
    assert drawn[0].equal(drawn[2])
    assert not drawn[0].equal(drawn[1])
    assert not drawn[0].equal(calm)


@pytest.mark.parametrize("changes", [{"dropout": 0.5, "attention_dropout": 0.0}, {"attention_dropout": 0.5}])
def test_each_dropout_alone_changes_training(changes: dict[str, float]) -> None:
    model = choice_model("default", **changes).train()
    assert not model(tokens_of(1, 12)).equal(model(tokens_of(1, 12)))
