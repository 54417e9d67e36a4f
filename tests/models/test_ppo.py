"""PPO maths against closed forms, enumeration and a naive double loop."""

import math

import pytest
import torch
from torch import Tensor

from models import ppo


def _batch(seed: int, rows: int = 3, length: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, length, generator=generator), torch.randn(rows, length, generator=generator)


def _naive_gae(rewards: list[float], values: list[float], gamma: float, lam: float) -> list[float]:
    deltas = [r + gamma * (values[t + 1] if t + 1 < len(values) else 0.0) - values[t] for t, r in enumerate(rewards)]
    return [
        sum((gamma * lam) ** (k - t) * deltas[k] for k in range(t, len(deltas)))  # the definition, a double loop
        for t in range(len(deltas))
    ]


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.5), (1.0, 1.0), (0.99, 0.0)])
def test_gae_is_its_definition(gamma: float, lam: float) -> None:
    rewards, values = _batch(0)
    mask = torch.ones_like(rewards, dtype=torch.bool)
    advantages, returns = ppo.gae(rewards, values, mask, gamma, lam)
    for b in range(len(rewards)):
        expected = torch.tensor(_naive_gae(rewards[b].tolist(), values[b].tolist(), gamma, lam))
        torch.testing.assert_close(advantages[b], expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(returns, advantages + values)


def test_gae_closed_forms() -> None:
    rewards, values = _batch(1)
    mask = torch.ones_like(rewards, dtype=torch.bool)
    to_go = rewards.flip(1).cumsum(1).flip(1)
    torch.testing.assert_close(ppo.gae(rewards, values, mask, 1.0, 1.0)[0], to_go - values)
    after = torch.cat([values[:, 1:], torch.zeros(3, 1)], dim=1)
    torch.testing.assert_close(ppo.gae(rewards, values, mask, 0.9, 0.0)[0], rewards + 0.9 * after - values)


def test_gae_does_not_see_gaps_or_padding() -> None:
    rewards, values = _batch(2, rows=1, length=5)
    whole, _ = ppo.gae(rewards, values, torch.ones(1, 5, dtype=torch.bool), 0.97, 0.9)
    kept = [0, 1, 5, 6, 7]  # three tokens of another speaker in the middle, two of padding at the end
    mask = torch.zeros(1, 10, dtype=torch.bool)
    mask[0, kept] = True
    wide_rewards, wide_values = torch.full((1, 10), 7.0), torch.full((1, 10), -3.0)
    wide_rewards[0, kept], wide_values[0, kept] = rewards[0], values[0]
    gapped, _ = ppo.gae(wide_rewards, wide_values, mask, 0.97, 0.9)
    torch.testing.assert_close(gapped[0, kept], whole[0])
    assert float(gapped[~mask].abs().sum()) == 0.0


def test_whitening() -> None:
    x, _ = _batch(3)
    mask = torch.arange(7)[None, :] < torch.tensor([[7], [3], [1]])
    white = ppo.whiten(x * 5 + 2, mask)
    assert float(white[mask].mean()) == pytest.approx(0.0, abs=1e-5)
    assert float(white[mask].var(unbiased=False)) == pytest.approx(1.0, abs=1e-4)
    assert float(white[~mask].abs().sum()) == 0.0
    kept = ppo.whiten(x * 5 + 2, mask, shift_mean=False)
    assert float(kept[mask].mean()) == pytest.approx(float((x * 5 + 2)[mask].mean()), abs=1e-4)


def test_token_rewards_sum_to_the_penalised_score() -> None:
    logp, ref = _batch(4)
    mask = torch.arange(7)[None, :] < torch.tensor([[7], [3], [1]])
    scores = torch.tensor([1.0, 0.5, -2.0])
    rewards = ppo.token_rewards(scores, logp, ref, mask, 0.3)
    penalty = ((logp - ref) * mask).sum(1)  # per-token terms sum to the log-ratio of the whole reply
    torch.testing.assert_close(rewards.sum(1), scores - 0.3 * penalty)
    assert float(rewards[1, 2]) == pytest.approx(0.5 - 0.3 * float(logp[1, 2] - ref[1, 2]), abs=1e-6)
    with pytest.raises(AssertionError):
        ppo.token_rewards(scores, logp, ref, mask & torch.tensor([[True], [True], [False]]), 0.3)


def test_first_pass_has_ratio_one() -> None:
    logp, advantages = _batch(5)
    logp = logp.requires_grad_()
    mask = torch.ones_like(advantages, dtype=torch.bool)
    got = ppo.policy_loss(logp, logp.detach(), advantages, mask, 0.2)
    assert (got.clipped, got.kl, got.ratio_error) == (0.0, 0.0, 0.0)
    got.loss.backward()  # type: ignore[no-untyped-call]
    assert logp.grad is not None
    torch.testing.assert_close(logp.grad, -advantages)  # the policy gradient


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "moves"),
    [(1.5, 1.0, -1.2, False), (0.5, 1.0, -0.5, True), (1.5, -1.0, 1.5, True), (0.5, -1.0, 0.8, False)],
)
def test_clipping_is_one_sided(ratio: float, advantage: float, loss: float, moves: bool) -> None:
    logp = torch.tensor([[math.log(ratio)]], requires_grad=True)
    mask = torch.ones(1, 1, dtype=torch.bool)
    got = ppo.policy_loss(logp, torch.zeros(1, 1), torch.tensor([[advantage]]), mask, 0.2)
    got.loss.backward()  # type: ignore[no-untyped-call]
    assert logp.grad is not None
    assert float(got.loss.detach()) == pytest.approx(loss)
    assert bool(logp.grad.abs().sum() > 0) is moves
    assert bool(got.clipped) is not moves


def test_loss_sums_do_not_depend_on_the_split() -> None:
    logp, advantages = _batch(6, rows=6)
    old = logp + 0.1
    mask = torch.arange(7)[None, :] < torch.tensor([[7], [3], [1], [5], [2], [6]])
    whole = ppo.policy_loss(logp, old, advantages, mask, 0.2)
    parts = [ppo.policy_loss(logp[i:j], old[i:j], advantages[i:j], mask[i:j], 0.2) for i, j in [(0, 1), (1, 4), (4, 6)]]
    assert float(sum(p.loss for p in parts)) == pytest.approx(float(whole.loss), abs=1e-5)
    assert sum(p.weight for p in parts) == whole.weight


def test_value_clipping() -> None:
    def loss(value: float, old: float, target: float) -> float:
        one = torch.ones(1, 1, dtype=torch.bool)
        return float(ppo.value_loss(torch.tensor([[value]]), torch.tensor([[old]]), torch.tensor([[target]]), one, 0.2))

    assert loss(0.1, 0.0, 1.0) == pytest.approx(0.5 * 0.81)  # inside the clip: the plain error
    assert loss(0.9, 0.0, 1.0) == pytest.approx(0.5 * 0.64)  # a long step gains no more than the clip
    assert loss(-0.9, 0.0, 1.0) == pytest.approx(0.5 * 3.61)  # a step the wrong way is charged in full


def _two(seed: int, size: int = 9) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    theta, phi = torch.randn(2, size, generator=generator).mul(0.5)
    return theta.requires_grad_(), torch.log_softmax(phi, -1)


def test_the_kl_estimate_by_enumeration() -> None:
    theta, ref = _two(0)
    logp = torch.log_softmax(theta.detach(), -1)
    kl = (logp.exp() * (logp - ref)).sum()
    assert float((logp.exp() * ppo.kl_k3(logp, ref)).sum()) == pytest.approx(float(kl), abs=1e-6)
    spread = [float((logp.exp() * (e - kl).square()).sum()) for e in (logp - ref, ppo.kl_k3(logp, ref))]
    assert spread[1] < spread[0]  # smaller than that of the plain log-ratio
    assert bool((ppo.kl_k3(logp, ref) >= 0).all())


def test_bandit_reaches_the_closed_form_optimum() -> None:
    """argmax E r - beta KL is pi_ref exp(r / beta) / Z, and J* - J = beta KL(pi || pi*) for any pi."""
    theta, ref = _two(2, size=8)
    reward, beta = torch.linspace(-1, 1, 8), 0.5
    optimum = torch.log_softmax(ref + reward / beta, -1)
    best = beta * torch.logsumexp(ref + reward / beta, -1)
    optimizer = torch.optim.Adam([theta], lr=0.05)
    mask = torch.ones(8, 1, dtype=torch.bool)

    def gap() -> tuple[float, float]:
        logp = torch.log_softmax(theta.detach(), -1)
        value = (logp.exp() * (reward - beta * (logp - ref))).sum()
        return float(best - value), beta * float((logp.exp() * (logp - optimum)).sum())

    assert gap()[0] == pytest.approx(gap()[1], abs=1e-5)
    for _ in range(300):
        old = torch.log_softmax(theta.detach(), -1)
        penalised = ppo.token_rewards(reward, old[:, None], ref[:, None], mask, beta)
        advantages, _ = ppo.gae(penalised, torch.zeros(8, 1), mask, 1.0, 0.95)
        weighted = (advantages[:, 0] - (old.exp() * advantages[:, 0]).sum()) * old.exp()  # the exact expectation
        for _ in range(2):
            optimizer.zero_grad()
            logp = torch.log_softmax(theta, -1)
            ppo.policy_loss(logp[:, None], old[:, None], weighted[:, None], mask, 0.2).loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    assert gap()[1] < 1e-3
    assert gap()[0] == pytest.approx(gap()[1], abs=1e-5)


def test_entropy_of_a_uniform_distribution() -> None:
    assert float(ppo.entropy(torch.zeros(2, 16))[0]) == pytest.approx(math.log(16))


def test_kl_control() -> None:
    control = ppo.KLControl(target=4.0, bound=10.0, brake=0.6, rate=0.5, least=0.01, most=1.0)
    assert control.next(0.1, 4.0) == pytest.approx(0.1)
    assert control.next(0.1, 5.9) == pytest.approx(0.11)  # the error is clamped to 0.2
    assert control.next(0.1, 0.0) == pytest.approx(0.09)
    assert control.next(0.1, 6.0) == pytest.approx(0.2)  # braking
    assert control.next(0.9, 9.0) == 1.0 and control.next(0.01, 0.0) == 0.01
    assert not control.braking(5.9) and control.braking(6.0)
    fixed = ppo.KLControl(target=4.0, bound=10.0, brake=0.6, rate=0.0, least=0.0, most=1.0)
    assert fixed.next(0.0, 9.0) == 0.0
