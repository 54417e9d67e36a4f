"""The order in which windows of the sources are read: index arithmetic, no state, any sample in constant time.

Sample k of a run is a place in a shuffled list that holds each source as often as its quota says; that list is never
made. Its shuffle, and that of each source's windows in each pass over it, are keyed permutations (a Feistel network
with cycle walking: Black and Rogaway 2002, "Ciphers with arbitrary finite domains").
"""

import hashlib
from bisect import bisect_right
from collections.abc import Mapping
from functools import lru_cache
from itertools import accumulate
from typing import Any

from cluster.errors import UserError

ROUNDS = 6
ROUNDING = 1.0  # samples that a budget may be off by, as samples are whole
_MASK = 2**64 - 1


def permute(seed: int, epoch: int, n: int, k: int) -> int:
    """Where k goes in the permutation of 0 .. n - 1 that (seed, epoch) names: a bijection for each pair."""
    assert 0 <= k < n
    half = max(1, ((n - 1).bit_length() + 1) // 2)
    keys, low = _keys(seed, epoch), (1 << half) - 1
    while True:  # the domain is less than 8 times n, so a walk of a few steps comes back below n
        left, right = k >> half, k & low
        for key in keys:
            left, right = right, left ^ (_scramble(right ^ key) & low)
        k = left << half | right
        if k < n:
            return k


def in_passes(seed: int, n: int, k: int) -> int:
    """Which of n members stands k-th where all are passed over again and again, each time in an order of its own."""
    epoch, within = divmod(k, n)
    return permute(seed, epoch, n, within)


@lru_cache(maxsize=1024)
def _keys(seed: int, epoch: int) -> tuple[int, ...]:
    digest = hashlib.blake2b(f"order {seed} {epoch}".encode(), digest_size=8 * ROUNDS).digest()
    return tuple(int.from_bytes(digest[i : i + 8]) for i in range(0, len(digest), 8))


def _scramble(value: int) -> int:
    """The finaliser of SplitMix64."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def shares(lengths: Mapping[str, int], weights: Mapping[str, float], temperature: float) -> dict[str, float]:
    """What is asked: each source's share, proportional to ``weight * length ** (1 / temperature)``.

    Temperature 1 takes the sources as they come, a higher one makes them more even (arXiv 1907.05019, section 4.1).
    Raises UserError where no source with text has a weight.
    """
    parts = {s: weights.get(s, 1.0) * n ** (1 / temperature) if n else 0.0 for s, n in sorted(lengths.items())}
    total = sum(parts.values())
    if not total > 0:
        rule = f"no source with text has a weight above 0: {dict(lengths)}"
        raise UserError("tokens.weights", dict(weights), rule, "Give one of them a weight, or more text")
    return {source: part / total for source, part in parts.items()}


def asked(
    lengths: Mapping[str, int],
    weights: Mapping[str, float],
    temperature: float,
    total: int,
    budgets: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """What is asked of each source, out of ``total``: its budget where it has one, else its share of what they leave.

    Budgets and total are in one unit. Raises UserError where the budgets of all sources do not sum to the total.
    """
    budgets = dict(sorted((budgets or {}).items()))
    for source, budget in budgets.items():
        if budget and not lengths.get(source):
            rule = f"no source with text has this name: {sorted(s for s, n in lengths.items() if n)}"
            raise UserError(f"tokens.budgets.{source}", budget, rule, "Correct the name, or take the budget away")
    wanted, slack = sum(budgets.values()), ROUNDING * len(budgets)
    free = {s: n for s, n in lengths.items() if s not in budgets}
    others = any(n and weights.get(s, 1.0) > 0 for s, n in free.items())
    short = bool(budgets) and not others and (wanted < total - slack or not wanted)
    if short or wanted > total + slack:
        rule = f"they sum to {wanted:,.0f} of {total:,}" + ("" if others else ", and no other source takes the rest")
        remedy = "Let the budgets sum to what the run trains on, or give fewer sources a budget"
        raise UserError("tokens.budgets", {s: round(b) for s, b in budgets.items()}, rule, remedy)
    if budgets and (wanted > total or not others):
        budgets = {s: budget * total / wanted for s, budget in budgets.items()}
    rest = max(0.0, total - sum(budgets.values()))
    parts = shares(free, weights, temperature) if others or not budgets else {}
    return {s: budgets[s] if s in budgets else parts.get(s, 0.0) * rest for s in sorted(lengths)}


def quotas(
    lengths: Mapping[str, int],
    weights: Mapping[str, float],
    temperature: float,
    total: int,
    max_epochs: float | None = None,
    budgets: Mapping[str, float] | None = None,
    epochs: Mapping[str, float] | None = None,
) -> dict[str, int]:
    """What is got: how many of ``total`` samples each source gives, the remainders to the largest fractions.

    A source that would be passed over more than ``epochs[source]`` times (``max_epochs`` where it has no cap of its
    own) stops there, and the sources without a budget take the rest. Raises UserError where a budget is beyond its
    cap, or all of them stop before ``total``.
    """
    cap = {s: (epochs or {}).get(s, max_epochs) for s in lengths}
    limit = {s: total if (most := cap[s]) is None else int(most * n) for s, n in lengths.items()}
    wanted = asked(lengths, weights, temperature, total, budgets)
    fixed: dict[str, float] = {s: wanted[s] for s in budgets or {} if s in wanted}
    for source, budget in fixed.items():
        if budget > limit[source] + ROUNDING:
            rule = f"it is {budget / lengths[source]:.3g} passes over its text, and {cap[source]:g} is the cap"
            remedy = f"Lower it, raise tokens.epochs.{source} or tokens.max_epochs, or add text"
            raise UserError(f"tokens.budgets.{source}", (budgets or {})[source], rule, remedy)
    while True:
        free = {s: n for s, n in lengths.items() if s not in fixed and n and weights.get(s, 1.0) > 0}
        rest = total - sum(fixed.values())
        if rest < 1 and not free:
            break
        if not free:
            rule = f"{total:,} samples are more than the sources give: their caps are {_said(cap)}"
            raise UserError("tokens.max_epochs", max_epochs, rule, "Raise it, train on fewer tokens, or add text")
        parts = {s: share * rest for s, share in shares(free, weights, temperature).items()}
        full = {s: limit[s] for s in free if parts[s] > limit[s]}
        if not full:
            fixed |= parts
            break
        fixed |= full
    made = _rounded(fixed, total)
    return {source: made.get(source, 0) for source in sorted(lengths)}


def _said(cap: Mapping[str, float | None]) -> str:
    return ", ".join(f"{s} {most:g}" for s, most in sorted(cap.items()) if most is not None)


def _rounded(asked: Mapping[str, float], total: int) -> dict[str, int]:
    """Whole numbers that sum to total, by largest remainder; of equal ones the first name."""
    whole = {s: int(part) for s, part in asked.items()}
    by_remainder = sorted(asked, key=lambda s: (whole[s] - asked[s], s))
    for source in by_remainder[: total - sum(whole.values())]:
        whole[source] += 1
    return whole


class Order:
    """Sample k -> (source, window).

    Args:
        lengths: windows of each source.
        weights: of the sources; 1 where none is given.
        temperature: of the mixture, see ``shares``.
        total: samples of the whole run; the quotas, and so the order, depend on it.
        seed: names the permutations.
        max_epochs, epochs: see ``quotas``.
        budgets: samples that sources give, whatever their weights; not whole where they are tokens over a context.
    """

    def __init__(
        self,
        lengths: Mapping[str, int],
        weights: Mapping[str, float],
        temperature: float,
        total: int,
        seed: int,
        max_epochs: float | None = None,
        budgets: Mapping[str, float] | None = None,
        epochs: Mapping[str, float] | None = None,
    ) -> None:
        self._lengths = dict(sorted(lengths.items()))
        self._asked = asked(lengths, weights, temperature, total, budgets)
        self._quotas = quotas(lengths, weights, temperature, total, max_epochs, budgets, epochs)
        self._sources = [source for source, quota in self._quotas.items() if quota]
        self._ends = list(accumulate(self._quotas[source] for source in self._sources))
        self._total, self._seed = total, seed
        self._seeds = {source: _seed_of(seed, source) for source in self._sources}

    def __len__(self) -> int:
        return self._total

    def sample(self, k: int) -> tuple[str, int]:
        """The k-th sample of the run, 0 <= k < total."""
        place = permute(self._seed, 0, self._total, k)
        i = bisect_right(self._ends, place)
        source = self._sources[i]
        turn = place - (self._ends[i - 1] if i else 0)
        return source, in_passes(self._seeds[source], self._lengths[source], turn)

    def got(self) -> dict[str, dict[str, Any]]:
        """Asked and got: share asked, share got, samples, and passes over the source."""
        return {
            source: {
                "asked": self._asked[source] / self._total,
                "got": quota / self._total,
                "samples": quota,
                "epochs": quota / self._lengths[source] if self._lengths[source] else 0.0,
            }
            for source, quota in self._quotas.items()
        }


def _seed_of(seed: int, source: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"source {seed} {source}".encode(), digest_size=8).digest())


def mixture(
    tokens: Mapping[str, int],
    weights: Mapping[str, float],
    temperature: float,
    max_epochs: float,
    budgets: Mapping[str, int],
    epochs: Mapping[str, float],
) -> dict[str, Any]:
    """What is asked and got of sources of so many tokens, as ``mixture.json`` says it.

    Here the whole is what the budgets ask, and once what the sources without one have; a run has a total of its own.
    """
    total = sum(budgets.get(source, n) for source, n in tokens.items()) + sum(
        budget for source, budget in budgets.items() if source not in tokens
    )
    order = Order(tokens, weights, temperature, total, 0, max_epochs, budgets, epochs)
    sources = {}
    for source, got in order.got().items():
        facts = {"tokens": tokens[source], "natural": tokens[source] / sum(tokens.values()), **got}
        sources[source] = {k: round(v, 6) if isinstance(v, float) else v for k, v in facts.items()}
    return {
        "weights": {source: weights.get(source, 1.0) for source in sorted(tokens)},
        "temperature": temperature,
        "max_epochs": max_epochs,
        "budgets": dict(sorted(budgets.items())),
        "epochs": dict(sorted(epochs.items())),
        "total": total,
        "sources": sources,
    }
