"""Proximal policy optimisation as pure tensor maths: returns, advantages, clipped losses, a KL estimate, KL control.

All tensors are ``[B, T]`` over reply tokens, with a boolean mask that is True where the policy chose the token. It
knows no model, no text and no actor. Sources: PPO (Schulman et al. 2017), GAE (Schulman et al. 2016), the KL controller
of Ziegler et al. 2019 (section 2.2), and Schulman's note on KL estimators.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


def token_rewards(scores: Tensor, logp: Tensor, ref_logp: Tensor, mask: Tensor, coefficient: float) -> Tensor:
    """``-coefficient * (logp - ref_logp)`` at each reply token, plus the score ``[B]`` at the last one: ``[B, T]``.

    The estimator in the reward is k1: its expectation is KL(policy || reference), and its policy gradient is right.
    Raises AssertionError where a reply has no token to carry its score.
    """
    assert bool(mask.any(dim=1).all()), "a reply without tokens has no place for its score"
    rewards = -coefficient * (logp - ref_logp) * mask
    last = mask.shape[1] - 1 - mask.flip(1).int().argmax(dim=1)
    return rewards.scatter_add(1, last[:, None], scores[:, None].to(rewards.dtype))


def gae(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimates and returns, both ``[B, T]``, zero where the mask is False.

    Positions outside the mask (another speaker's tokens, padding) do not exist for the recursion: the next value and
    the running estimate are carried over them, so a gap inside a reply changes nothing, at any lambda.
    """
    advantages = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[:, 0])
    next_value = torch.zeros_like(running)
    for t in range(rewards.shape[1] - 1, -1, -1):
        here = mask[:, t]
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        running = torch.where(here, delta + gamma * lam * running, running)
        next_value = torch.where(here, values[:, t], next_value)
        advantages[:, t] = torch.where(here, running, torch.zeros_like(running))
    return advantages, (advantages + values) * mask


def whiten(x: Tensor, mask: Tensor, shift_mean: bool = True) -> Tensor:
    """Scale to standard deviation 1 over the masked positions, and to mean 0 unless ``shift_mean`` is False."""
    weight = mask.sum()
    mean = (x * mask).sum() / weight
    variance = ((x - mean).square() * mask).sum() / weight
    scaled = (x - mean) * torch.rsqrt(variance + 1e-8)
    return (scaled if shift_mean else scaled + mean) * mask


@dataclass(frozen=True)
class PolicyLoss:
    """Sums over reply tokens; divide by ``weight`` once, after every micro-batch has been added."""

    loss: Tensor  # scalar with a gradient
    weight: float  # tokens
    clipped: float  # tokens whose clipped term was the one used
    kl: float  # nats: sum of k3 between the policy that sampled and the policy now
    ratio_error: float  # largest |ratio - 1|


def policy_loss(logp: Tensor, old_logp: Tensor, advantages: Tensor, mask: Tensor, clip: float) -> PolicyLoss:
    """The clipped surrogate, ``-min(r A, clip(r, 1-c, 1+c) A)``, summed (PPO, equation 7)."""
    ratio = torch.exp((logp - old_logp) * mask)
    plain, clipped = ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages
    with torch.no_grad():
        used = ((clipped < plain) & mask).sum()
        kl = (kl_k3(old_logp, logp) * mask).sum()
        error = ((ratio - 1).abs() * mask).max()
    loss = -(torch.minimum(plain, clipped) * mask).sum()
    return PolicyLoss(loss, float(mask.sum()), float(used), float(kl), float(error))


def value_loss(values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, clip: float) -> Tensor:
    """Half the squared error, with the step from the old value clipped; the larger of both, summed: a scalar."""
    clipped = old_values + (values - old_values).clamp(-clip, clip)
    error = torch.maximum((values - returns).square(), (clipped - returns).square())
    return 0.5 * (error * mask).sum()


def entropy(logits: Tensor) -> Tensor:
    """Entropy in nats of each distribution of ``[..., V]`` logits: ``[...]``."""
    logp = torch.log_softmax(logits, dim=-1)
    return -(logp.exp() * logp).sum(dim=-1)


def kl_k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """``q/p - 1 - log q/p``: unbiased for KL(p || q), never negative, small variance where p is near q."""
    log_ratio = ref_logp - logp
    return torch.expm1(log_ratio) - log_ratio


@dataclass(frozen=True)
class KLControl:
    """How the KL coefficient follows the measured KL, and when the bound takes over. KL in nats a reply."""

    target: float
    bound: float
    brake: float  # share of the bound from which only the KL penalty trains
    rate: float  # share of the coefficient that one iteration may move, before clamping the error to +-0.2
    least: float
    most: float

    def braking(self, kl: float) -> bool:
        """True where the measured KL is so near the bound that the task's reward no longer counts."""
        return kl >= self.brake * self.bound

    def next(self, coefficient: float, kl: float) -> float:
        """The coefficient of the next iteration: proportional to the clamped error; doubled while braking."""
        if self.rate == 0:
            return coefficient
        if self.braking(kl):
            return min(self.most, 2 * coefficient)
        error = min(0.2, max(-0.2, kl / self.target - 1))
        return min(self.most, max(self.least, coefficient * (1 + self.rate * error)))
