import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from models.checkpoint import digest
from models.config import GPTConfig
from models.gpt import GPT
from models.losses import next_token_sum
from models.mlps.experts import Experts, Stacked, aux_of, routing
from models.optim import make_optimizer
from models.step import ExactStep, Exchange, LocalExchange, Observer, StepFacts
from tests.models.fakes import in_threads, tiny_config, tiny_model, tiny_optim

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "relu2": lambda x: F.relu(x) ** 2,
}


def layer(seed: int = 0, activation: str = "swiglu", bias: bool = False, **experts: object) -> Experts:
    made = Experts(tiny_config(activation=activation, bias=bias, experts={"count": 4, "top_k": 2} | experts))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) / 4)
    return made


def inputs(rows: int = 3, length: int = 5, seed: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(rows, length, 16, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def one_expert(made: Experts, e: int, x: Tensor) -> Tensor:
    """Expert e as a dense layer of its own."""

    def linear(stacked: Stacked, y: Tensor) -> Tensor:
        return F.linear(y, stacked.weight[e], None if stacked.bias is None else stacked.bias[e])

    if made.activation in ("swiglu", "geglu"):
        gate, up = linear(made.gate_up, x).chunk(2, dim=-1)
        return linear(made.down, (F.silu(gate) if made.activation == "swiglu" else F.gelu(gate)) * up)
    return linear(made.down, ACTIVATIONS[made.activation](linear(made.up, x)))


def naive(made: Experts, x_BTD: Tensor, room: float = math.inf) -> tuple[Tensor, Tensor]:
    """(output, [places asked of each expert ..., dropped ones]), token by token, in the stated order."""
    config, x_ND = made.config, x_BTD.flatten(0, 1)
    p_NE = F.linear(x_ND, made.router.weight).softmax(-1)
    ranks = p_NE if made.expert_bias is None else p_NE + made.expert_bias
    out_ND, asked = torch.zeros_like(x_ND), [0] * (config.count + 1)
    for choice in range(config.top_k):
        for n in range(len(x_ND)):
            chosen = ranks[n].sort(descending=True).indices[: config.top_k]
            e = int(chosen[choice])
            asked[e] += 1
            if asked[e] > room:
                asked[-1] += 1
                continue
            weight = p_NE[n, e] / (p_NE[n, chosen].sum() if config.normalize else 1.0)
            out_ND[n] += weight * one_expert(made, e, x_ND[n])
    return out_ND.view_as(x_BTD), torch.tensor(asked, dtype=torch.float32)


@pytest.mark.parametrize("activation", ["swiglu", "geglu", *ACTIVATIONS])
@pytest.mark.parametrize("bias", [False, True])
def test_each_token_goes_through_its_experts(activation: str, bias: bool) -> None:
    made, x = layer(activation=activation, bias=bias), inputs()
    expected, asked = naive(made, x)
    torch.testing.assert_close(made(x), expected)
    assert made.observed is not None and torch.equal(made.observed, asked)


@pytest.mark.parametrize(
    "experts", [{"top_k": 1, "normalize": False}, {"top_k": 3, "normalize": False}, {"top_k": 4}, {"count": 2}]
)
def test_top_k_and_normalisation(experts: dict[str, object]) -> None:
    made, x = layer(**experts), inputs()
    torch.testing.assert_close(made(x), naive(made, x)[0])


@settings(max_examples=30, deadline=None)
@given(
    capacity=st.floats(0.1, 3.0),
    count=st.integers(2, 6),
    top_k=st.integers(1, 3),
    rows=st.integers(1, 3),
    length=st.integers(1, 6),
)
def test_capacity_drops_in_the_stated_order_and_counts_it(
    capacity: float, count: int, top_k: int, rows: int, length: int
) -> None:
    made = layer(count=count, top_k=min(top_k, count), normalize=top_k > 1, capacity=capacity)
    x = inputs(rows, length)
    room = math.ceil(capacity * rows * length * made.config.top_k / count)
    expected, asked = naive(made, x, room)
    torch.testing.assert_close(made(x), expected)
    assert made.observed is not None and torch.equal(made.observed, asked)
    assert float(asked[:-1].sum()) == rows * length * made.config.top_k
    torch.testing.assert_close(made.eval()(x), naive(made, x)[0])  # evaluation drops nothing


def test_what_is_dropped_has_no_output_so_that_the_residual_passes() -> None:
    made, x = layer(top_k=1, normalize=False, capacity=0.01), inputs()
    silent = (made(x).flatten(0, 1) == 0).all(dim=1)
    assert made.observed is not None and made.observed[-1] == silent.sum() > 0


def test_gradients_are_those_of_the_naive_layer() -> None:
    made = layer(bias=True).double()
    mine, other = inputs(dtype=torch.float64).requires_grad_(), inputs(dtype=torch.float64).requires_grad_()
    parameters = list(made.parameters())
    aim = inputs(seed=2, dtype=torch.float64)
    found = torch.autograd.grad((made(mine) * aim).sum(), [mine, *parameters])
    wanted = torch.autograd.grad((naive(made, other)[0] * aim).sum(), [other, *parameters])
    for one, two in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, two)


def test_the_balance_loss_is_one_where_even_and_grows_with_the_imbalance() -> None:
    made, x = layer(balance_weight=0.5, z_weight=0.0), inputs()
    made(x)
    p_NE = F.linear(x.flatten(0, 1), made.router.weight).softmax(-1)
    assert made.observed is not None and made.aux is not None
    shares = made.observed[:-1] / made.observed[:-1].sum()
    torch.testing.assert_close(made.aux, 0.5 * 15 * 4 * (shares * p_NE.mean(0)).sum())
    with torch.no_grad():
        made.router.weight.zero_()
        made(x)
    torch.testing.assert_close(made.aux, torch.tensor(0.5 * 15))
    with torch.no_grad():
        made.router.weight[:2] = 9.0
        made(x.abs())
    torch.testing.assert_close(made.aux, torch.tensor(0.5 * 15 * 2), rtol=1e-3, atol=0)  # two of four take all


def test_the_z_loss_is_the_mean_square_of_the_log_sum_exp() -> None:
    made, x = layer(balance="none", z_weight=0.25), inputs()
    made(x)
    z_N = torch.logsumexp(F.linear(x.flatten(0, 1), made.router.weight), -1)
    assert made.aux is not None
    torch.testing.assert_close(made.aux, 0.25 * (z_N**2).sum())


def test_aux_is_collected_once_and_only_in_training() -> None:
    stack, x = nn.Sequential(layer(0), layer(1)), inputs()
    stack(x)
    parts = [one.aux for one in stack if isinstance(one, Experts) and one.aux is not None]
    found = aux_of(stack)
    assert found is not None and len(parts) == 2
    torch.testing.assert_close(found, parts[0] + parts[1])
    assert aux_of(stack) is None
    stack.eval()(x)
    assert aux_of(stack) is None
    layer_without = layer(balance="none", z_weight=0.0)
    layer_without(x)
    assert aux_of(layer_without) is None


def test_the_router_learns_from_the_aux_losses_and_from_the_weights() -> None:
    made, x = layer(), inputs()
    made(x)
    aux = aux_of(made)
    assert aux is not None
    (by_aux,) = torch.autograd.grad(aux, [made.router.weight])
    (by_output,) = torch.autograd.grad(made(x).square().sum(), [made.router.weight])
    assert by_aux.abs().max() > 0 and by_output.abs().max() > 0


def test_the_bias_chooses_and_does_not_weigh() -> None:
    made, x = layer(balance="bias"), inputs()
    assert made.expert_bias is not None
    plain = made(x)
    made.expert_bias += 7.0  # for all alike: the choice and the weights stay
    assert torch.equal(made(x), plain)
    made.expert_bias[0] += 7.0
    torch.testing.assert_close(made(x), naive(made, x)[0])
    assert made.observed is not None and made.observed[0] == 15
    assert aux_of(layer(balance="bias", z_weight=0.0)) is None


def test_the_bias_moves_towards_the_mean_load() -> None:
    made = layer(balance="bias", bias_rate=0.5)
    assert made.expert_bias is not None
    made.absorb(torch.tensor([10.0, 20.0, 15.0, 15.0, 3.0]))
    assert made.expert_bias.tolist() == [0.5, -0.5, 0.0, 0.0]
    assert made.load.tolist() == [10.0, 20.0, 15.0, 15.0] and float(made.dropped) == 3.0
    assert routing([made]) == pytest.approx({"expert_load": 20 / 15, "dropped_share": 3 / 60})
    assert routing([layer()]) == routing([nn.Linear(2, 2)]) == {}
    assert "expert_bias" in made.state_dict() and "expert_bias" not in layer().state_dict()


def test_bias_balancing_evens_the_loads_out() -> None:
    made = layer(balance="bias", bias_rate=0.02)
    spread = []
    for step in range(120):
        made(inputs(8, 16, seed=step))
        assert made.observed is not None
        made.absorb(made.observed)
        spread.append(routing([made])["expert_load"])
    assert sum(spread[-20:]) / 20 < 1.15 < sum(spread[:3]) / 3


def test_it_is_the_layer_of_transformers_mixtral_and_its_balance_loss_is_top_k_times_ours() -> None:
    mixtral = pytest.importorskip("transformers.models.mixtral.modeling_mixtral")
    made, x = layer(balance_weight=1.0, z_weight=0.0), inputs()
    theirs = mixtral.MixtralSparseMoeBlock(
        mixtral.MixtralConfig(hidden_size=16, intermediate_size=24, num_local_experts=4, num_experts_per_tok=2)
    )
    names = {"gate.weight": "router.weight", "experts.gate_up_proj": "gate_up.weight"}
    names |= {"experts.down_proj": "down.weight"}
    theirs.load_state_dict({name: made.state_dict()[ours] for name, ours in names.items()})
    torch.testing.assert_close(made(x), theirs(x))
    balance = mixtral.load_balancing_loss_func((made.router(x.flatten(0, 1)),), 4, 2)
    aux = aux_of(made)
    assert aux is not None
    torch.testing.assert_close(aux / 15, balance / 2)


def test_recomputing_the_layer_in_the_backward_pass_changes_nothing() -> None:
    made, x = layer(capacity=1.0), inputs().requires_grad_()

    def gradients(again: bool) -> list[Tensor]:
        out = checkpoint(made, x, use_reentrant=False) if again else made(x)
        aux = aux_of(made)
        assert aux is not None
        return list(torch.autograd.grad(out.square().sum() + aux, [x, *made.parameters()]))

    plain = gradients(again=False)
    asked = made.observed
    assert asked is not None and all(map(torch.equal, gradients(again=True), plain))
    assert made.observed is not None and torch.equal(made.observed, asked)


def test_an_expert_that_slept_gets_a_gradient_of_zeros() -> None:
    made = layer(count=16, top_k=1, normalize=False)
    made(inputs(1, 1)).sum().backward()  # fifteen experts slept
    assert made.down.weight.grad is not None
    assert int((made.down.weight.grad.flatten(1).abs().sum(1) > 0).sum()) == 1


def test_a_router_keeps_its_precision_under_autocast() -> None:
    made, x = layer(), inputs()
    plain = made(x)
    asked = made.observed
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = made(x)
    assert made.observed is not None and asked is not None and torch.equal(made.observed, asked)
    torch.testing.assert_close(half.float(), plain, rtol=0.05, atol=0.02)


class Model(nn.Module):
    """Embedding, one sparse layer with its residual sum, head."""

    def __init__(self, **experts: object) -> None:
        super().__init__()
        self.embedding = nn.Embedding(40, 16)
        self.experts = layer(**experts)
        self.head = nn.Linear(16, 40)
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for weight in (self.embedding.weight, self.head.weight, self.head.bias):
                weight.copy_(torch.randn(weight.shape, generator=generator) / 4)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        x_BTD = self.embedding(tokens_BT)
        out: Tensor = self.head(x_BTD + self.experts(x_BTD))
        return out


def loss(model: nn.Module, batch: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    shown, weight = next_token_sum(model(batch[:, :-1]), batch[:, 1:])
    aux = aux_of(model)
    return shown if aux is None else shown + aux, weight, shown


def shard(step: int, g: int) -> Tensor:
    return torch.randint(0, 40, (2, 9), generator=torch.Generator().manual_seed(100 * step + g))


def train(experts: dict[str, object], shards: int, exchange: Exchange) -> tuple[str, list[StepFacts], Tensor]:
    model = Model(**experts)
    exact = ExactStep(model, make_optimizer(model, tiny_optim()), loss, shards, 1.0)
    facts = [exact.apply(exact.gradient(partial(shard, step), exchange, partial(shard, 77)), 1e-2) for step in range(3)]
    return digest(model.state_dict()), facts, torch.cat([model.experts.load, model.experts.dropped[None]])


@pytest.mark.parametrize("experts", [{"balance": "bias", "capacity": 1.1}, {"balance": "loss"}])
@pytest.mark.parametrize("shards", [3, 4])
def test_bits_and_loads_do_not_depend_on_the_members(experts: dict[str, object], shards: int) -> None:
    weights, facts, loads = train(experts, shards, LocalExchange())
    assert float(loads[:-1].sum()) == shards * 2 * 8 * 2
    assert bool(loads[-1] > 0) == ("capacity" in experts)
    for members in (2, 3):
        for found in in_threads(members, partial(train, experts, shards)):
            assert found[:2] == (weights, facts) and torch.equal(found[2], loads)


def test_the_aux_loss_is_descended_and_not_shown() -> None:
    told = [train({"balance": "loss", "balance_weight": w, "z_weight": 0.0}, 2, LocalExchange()) for w in (0.0, 1.0)]
    assert told[0][1][0].loss == told[1][1][0].loss
    assert told[0][0] != told[1][0]


def test_it_is_an_observer_of_its_size() -> None:
    made = layer()
    assert isinstance(made, Observer) and made.observed is None
    made(inputs())
    assert made.observed is not None and len(made.observed) == made.observed_size
    made.observed = None
    made.eval()(inputs())
    assert made.observed is None


@pytest.mark.parametrize("activation", ["swiglu", "relu"])
@pytest.mark.parametrize("bias", [False, True])
def test_counts_are_those_of_the_layer(activation: str, bias: bool) -> None:
    shape = {"activation": activation, "bias": bias, "layers": 1}
    dense, sparse = tiny_config(**shape), tiny_config(**shape, experts={"count": 4, "top_k": 2})
    real = sum(weight.numel() for weight in Experts(sparse).parameters())
    one = real - 4 * 16
    assert sparse.parameters() - dense.parameters() == real - one // 4
    assert sparse.parameters() - sparse.active_parameters() == one // 2
    matrices = one - (sum(w.numel() for n, w in Experts(sparse).named_parameters() if n.endswith("bias")))
    assert sparse.matrix_parameters() - dense.matrix_parameters() == matrices // 4 + 4 * 16


@pytest.mark.parametrize(
    ("experts", "told"),
    [
        ({"count": 4, "top_k": 5}, "experts.top_k 5 must be at most experts.count = 4"),
        ({"count": 1, "top_k": 1}, "experts.count 1 is a dense layer"),
        ({"count": 4, "top_k": 1}, "set experts.normalize false, or take top_k 2"),
        ({"count": 4, "every": 3}, "experts.every 3 leaves no sparse layer of 2"),
    ],
)
def test_nonsense_is_refused(experts: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        tiny_config(experts=experts)


def test_every_says_which_layers_are_sparse() -> None:
    config: GPTConfig = tiny_config(layers=6, experts={"count": 4, "every": 2})
    assert [config.sparse(i) for i in range(6)] == [False, True, False, True, False, True]


@pytest.mark.parametrize(
    "shape",
    [{"layers": 2}, {"layers": 5, "experts": {"count": 3, "every": 2}}, {"activation": "relu", "bias": True}],
)
def test_a_sparse_model_has_the_parameters_and_flops_that_its_config_says(shape: dict[str, object]) -> None:
    config = tiny_config(**{"experts": {"count": 4, "top_k": 2}} | shape)
    model = GPT(config).eval()
    assert config.parameters() == sum(weight.numel() for weight in model.parameters())
    tokens = torch.zeros(1, config.context, dtype=torch.int64)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(tokens)
    assert config.flops_per_token() * config.context == 3 * counter.get_total_flops()


def test_a_sparse_model_with_batch_norms_learns_with_the_same_bits_everywhere() -> None:
    def learn(recompute: bool, exchange: Exchange) -> tuple[str, list[float]]:
        experts = {"count": 4, "top_k": 2, "balance": "bias", "capacity": 1.5}
        model = tiny_model(norm="batch", vocab_size=40, experts=experts)
        model.recompute = recompute
        exact = ExactStep(model, make_optimizer(model, tiny_optim()), loss, 4, 1.0)
        told = [exact.apply(exact.gradient(partial(shard, 0), exchange), 1e-2).loss for _ in range(20)]
        assert set(routing([model])) == {"expert_load", "dropped_share"}
        return digest(model.state_dict()), told

    alone = learn(False, LocalExchange())
    assert alone[1][-1] < 0.6 * alone[1][0]
    assert learn(True, LocalExchange()) == alone
    assert in_threads(3, partial(learn, False)) == [alone] * 3
