"""The order of samples: bijections, shares by formula, quotas, constant-time seek."""

from collections import Counter

import pytest

from cluster.errors import UserError
from pipeline.tokens.order import Order, permute, quotas, shares

LENGTHS = {"chats": 400, "code": 250, "docs": 10, "empty": 0}


@pytest.mark.parametrize("n", [1, 2, 3, 5, 16, 17, 100, 257, 1000])
def test_a_permutation_is_a_bijection(n: int) -> None:
    for seed, epoch in ((0, 0), (0, 1), (7, 0)):
        assert sorted(permute(seed, epoch, n, k) for k in range(n)) == list(range(n))


def test_permutations_differ_by_seed_and_epoch_and_look_shuffled() -> None:
    made = [[permute(seed, epoch, 500, k) for k in range(500)] for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert sum(a == b for a, b in zip(made[first], made[second], strict=True)) < 10
    steps = [abs(a - b) for a, b in zip(made[0], made[0][1:], strict=False)]
    assert 500 / 3 * 0.8 < sum(steps) / len(steps) < 500 / 3 * 1.2
    assert permute(5, 3, 10**15, 10**14) < 10**15


def test_permutations_are_frozen() -> None:
    """Another value would change the order of every run."""
    assert [permute(1, 0, 10, k) for k in range(10)] == FROZEN


def test_shares_follow_the_formula() -> None:
    assert shares({"a": 100, "b": 25}, {}, 1.0) == {"a": 0.8, "b": 0.2}
    even = shares({"a": 100, "b": 25}, {}, 2.0)
    assert even["a"] == pytest.approx(10 / 15)
    weighted = shares({"a": 100, "b": 25}, {"b": 4.0}, 1.0)
    assert weighted == {"a": 0.5, "b": 0.5}
    with pytest.raises(UserError, match=r"tokens\.weights"):
        shares({"a": 100}, {"a": 0.0}, 1.0)


def test_quotas_sum_to_the_total_and_stop_at_max_epochs() -> None:
    for total in (1, 7, 100, 1001):
        made = quotas(LENGTHS, {}, 1.25, total)
        assert sum(made.values()) == total and made["empty"] == 0
        for source, share in shares(LENGTHS, {}, 1.25).items():
            assert abs(made[source] - share * total) < 1
    capped = quotas(LENGTHS, {"docs": 100.0}, 1.0, 660, max_epochs=2)
    assert capped["docs"] == 20 and sum(capped.values()) == 660
    assert abs(capped["chats"] / capped["code"] - 400 / 250) < 0.02
    assert quotas(LENGTHS, {}, 1.0, 1320, max_epochs=2) == {"chats": 800, "code": 500, "docs": 20, "empty": 0}
    with pytest.raises(UserError, match="max_epochs"):
        quotas(LENGTHS, {}, 1.0, 1321, max_epochs=2)


def test_an_order_gives_each_source_its_quota_and_each_window_in_turn() -> None:
    order = Order(LENGTHS, {"docs": 3.0}, 1.0, 1500, seed=3)
    samples = [order.sample(k) for k in range(1500)]
    got = order.got()
    assert Counter(source for source, _ in samples) == {s: f["samples"] for s, f in got.items() if f["samples"]}
    for source, length in LENGTHS.items():
        seen = Counter(window for s, window in samples if s == source)
        if seen:
            passes = got[source]["samples"] / length
            assert set(seen.values()) <= {int(passes), int(passes) + 1} and max(seen) < length
    assert sum(f["got"] for f in got.values()) == pytest.approx(1) == sum(f["asked"] for f in got.values())
    first_half = Counter(source for source, _ in samples[:750])
    assert abs(first_half["code"] / 750 - got["code"]["got"]) < 0.07  # the mixture is the same all along


FROZEN = [6, 9, 0, 2, 8, 4, 7, 1, 3, 5]
