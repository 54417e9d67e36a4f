"""The order of samples: bijections, shares by formula, quotas, constant-time seek."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.errors import UserError
from pipeline.tokens.order import Order, asked, in_passes, mixture, permute, quotas, shares

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


@pytest.mark.parametrize("n", [1, 7, 16])
def test_each_pass_holds_every_member_once_in_an_order_of_its_own(n: int) -> None:
    passes = [[in_passes(3, n, epoch * n + k) for k in range(n)] for epoch in range(3)]
    assert all(sorted(one) == list(range(n)) for one in passes)
    assert passes == [[permute(3, epoch, n, k) for k in range(n)] for epoch in range(3)]


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


def test_a_budget_is_met_and_the_others_share_the_rest() -> None:
    made = quotas(LENGTHS, {}, 1.0, 1000, max_epochs=4, budgets={"code": 700})
    assert made["code"] == 700 and sum(made.values()) == 1000
    assert abs(made["chats"] / made["docs"] - 40) < 4
    parts = quotas({"a": 100, "b": 100, "c": 100}, {}, 1.0, 10, budgets={"a": 3.4, "b": 3.3})  # a window is whole
    assert parts == {"a": 4, "b": 3, "c": 3}
    everything = asked(LENGTHS, {}, 1.0, 1001, {"chats": 600.5, "code": 400.2, "docs": 0.0})
    assert sum(everything.values()) == pytest.approx(1001) and everything["docs"] == 0
    order = Order(LENGTHS, {"code": 0.0}, 1.0, 1000, seed=1, budgets={"code": 250, "docs": 5})
    got = order.got()
    assert (got["code"]["samples"], got["docs"]["samples"]) == (250, 5) and got["code"]["asked"] == 0.25
    assert Counter(order.sample(k)[0] for k in range(1000)) == {"code": 250, "docs": 5, "chats": 745}


def test_each_source_has_a_cap_of_its_own() -> None:
    made = quotas(LENGTHS, {"docs": 100.0}, 1.0, 1000, max_epochs=2, epochs={"docs": 30.5, "code": 1})
    assert made == {"chats": 445, "code": 250, "docs": 305, "empty": 0}
    assert quotas(LENGTHS, {}, 1.0, 500, epochs={"chats": 0.5})["chats"] == 200  # and no cap on the others


@pytest.mark.parametrize(
    ("budgets", "epochs", "field", "why"),
    [
        ({"docs": 50}, {}, "tokens.budgets.docs", "5 passes over its text, and 4 is the cap"),
        ({"docs": 30}, {"docs": 2.0}, "tokens.budgets.docs", "raise tokens.epochs.docs"),
        ({"code": 600, "chats": 600}, {}, "tokens.budgets", "sum to 1,200 of 1,000"),
        ({"code": 400, "chats": 500, "docs": 20}, {}, "tokens.budgets", "no other source takes the rest"),
        ({"cod": 400}, {}, "tokens.budgets.cod", "chats', 'code"),
        ({"empty": 1}, {}, "tokens.budgets.empty", "no source with text"),
        ({"code": 100}, {"chats": 1.0, "docs": 1.0}, "tokens.max_epochs", "chats 1, code 4, docs 1"),
    ],
)
def test_what_cannot_be_had_is_told(budgets: dict[str, float], epochs: dict[str, float], field: str, why: str) -> None:
    with pytest.raises(UserError, match=why) as caught:
        quotas(LENGTHS, {}, 1.0, 1000, 4.0, budgets, epochs)
    assert caught.value.field == field


@given(
    lengths=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 500), min_size=1),
    weights=st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 10)),
    total=st.integers(1, 3000),
    caps=st.dictionaries(st.sampled_from("abcdef"), st.floats(0.1, 8)),
    budgets=st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 500)),
)
@settings(max_examples=50, deadline=None)
def test_quotas_keep_budgets_caps_and_the_total(
    lengths: dict[str, int],
    weights: dict[str, float],
    total: int,
    caps: dict[str, float],
    budgets: dict[str, float],
) -> None:
    try:
        made = quotas(lengths, weights, 1.3, total, 6.0, budgets, caps)
    except UserError:
        return
    assert sum(made.values()) == total and list(made) == sorted(lengths)
    for source, quota in made.items():
        assert quota <= lengths[source] * caps.get(source, 6.0) + 2
        if source in budgets:
            assert abs(quota - budgets[source]) <= 1 + len(budgets)


def test_the_mixture_says_what_was_asked_and_got() -> None:
    said = mixture({"b": 300, "a": 100}, {"b": 2.0}, 1.0, 4.0, {}, {})
    assert said["total"] == 400 and list(said["sources"]) == ["a", "b"] and said["weights"] == {"a": 1.0, "b": 2.0}
    assert said["sources"]["a"] == {
        "tokens": 100, "natural": 0.25, "asked": 0.142857, "got": 0.1425, "samples": 57, "epochs": 0.57
    }  # fmt: skip
    capped = mixture({"b": 300, "a": 100}, {}, 1.0, 4.0, {"a": 350}, {"b": 1.0})
    assert capped["total"] == 650 and capped["sources"]["a"]["epochs"] == 3.5 and capped["epochs"] == {"b": 1.0}
    with pytest.raises(UserError, match="no source with text"):
        mixture({"a": 100}, {}, 1.0, 4.0, {"z": 5}, {})


FROZEN = [6, 9, 0, 2, 8, 4, 7, 1, 3, 5]
