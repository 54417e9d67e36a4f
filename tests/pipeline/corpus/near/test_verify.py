"""The decision on the text: evidence, preference, and hot buckets."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus import tables
from pipeline.corpus.near import keys, tasks, verify
from pipeline.corpus.near.buckets import OLD
from pipeline.corpus.near.config import DedupConfig, Rule
from pipeline.corpus.shingles import Grams
from tests.pipeline.corpus.near.stage import row, table_of

CONFIG = DedupConfig()


def decide(texts: list[str], config: DedupConfig = CONFIG, old: int = 0) -> list[verify.Removal]:
    """What goes of texts in their order of preference, all of which LSH proposes to each other; the first are old."""
    sets = verify.Sets()
    for grams, _ in keys.signed(tables.documents([row(text) for text in texts]), config):
        sets.add(grams)
    one_bucket = np.zeros((len(texts), 2), np.uint64)
    return verify.decide(np.arange(len(texts)), np.arange(len(texts)) < old, one_bucket, sets, config)[0]


def said(removals: list[verify.Removal]) -> list[tuple[int, int, str]]:
    return [(removal.gone, removal.kept, removal.reason) for removal in removals]


def shingles_of(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[^\W_]+", text.lower())
    return {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))} if words else set()


WORDS = [f"w{i}" for i in range(130)]


def test_a_friend_of_a_friend_stays() -> None:
    """a ~ b ~ c, but a and c are not close: b goes for a, and c stays."""
    a, b, c = (" ".join(WORDS[i : i + 100 - i // 12]) for i in (0, 12, 24))
    assert said(decide([a, b, c], DedupConfig(threshold=0.7))) == [(1, 0, "similar_text")]


def test_a_part_of_a_kept_document_goes_but_no_document_goes_for_a_part_of_it() -> None:
    whole, part = " ".join(WORDS), " ".join(WORDS[20:80])
    (removal,) = decide([whole, part])
    assert said([removal]) == [(1, 0, "contained_text")] and removal.score == 1.0
    assert decide([part, whole]) == [] and decide([whole, part], DedupConfig(containment=0)) == []


def test_the_closest_kept_document_is_the_partner() -> None:
    near, far = " ".join([*WORDS[:90], "other"]), " ".join([*WORDS[:80], *(f"x{i}" for i in range(20))])
    assert said(decide([far, near, " ".join(WORDS[:90])])) == [(2, 1, "similar_text")]


def test_documents_of_earlier_runs_stay() -> None:
    text = " ".join(WORDS)
    assert said(decide([text, text + " one", text + " two"], old=2)) == [(2, 0, "similar_text")]


texts_of = st.lists(st.lists(st.sampled_from("abc"), min_size=4, max_size=12).map(" ".join), max_size=10)


@settings(max_examples=50, deadline=None)
@given(texts_of, st.sampled_from([0.3, 0.6, 1.0]), st.sampled_from([0, 0.8, 1.0]))
def test_each_removal_has_true_evidence_and_none_is_left_that_should_go(
    texts: list[str], threshold: float, containment: float
) -> None:
    removals = decide(texts, DedupConfig(threshold=threshold, containment=containment, bucket_pairs=100))
    gone = {removal.gone: removal for removal in removals}
    sets = [shingles_of(text) for text in texts]
    for i, own in enumerate(sets):
        kept = [k for k in range(i) if k not in gone]
        similar = {k: len(own & sets[k]) / len(own | sets[k]) for k in kept}
        inside = {k: len(own & sets[k]) / len(own) for k in kept if len(own) <= len(sets[k])}
        due = any(s >= threshold for s in similar.values()) or (
            containment > 0 and any(s >= containment for s in inside.values())
        )
        assert (i in gone) == due
        if due:
            scores = similar if gone[i].reason == "similar_text" else inside
            assert gone[i].score == scores[gone[i].kept] == max(scores.values())


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_shared_counts_common_values(a: set[int], b: set[int]) -> None:
    assert verify.shared(*(np.array(sorted(s), np.uint64) for s in (a, b))) == len(a & b)


def member(place: int, **facts: Any) -> dict[str, Any]:
    default = {"cluster": 1, "id": f"{place:032x}", "source": "s", "priority": 0, "quality": 0.0, "length": 9}
    return {**default, "place": place, "text": "", **facts}


@pytest.mark.parametrize(
    ("survivor", "expected"),
    [
        (("id",), [9, 1, 2, 3, 4]),
        (("length", "id"), [9, 3, 1, 2, 4]),
        (("quality", "length"), [9, 4, 3, 1, 2]),
        (("priority", "quality", "length", "id"), [9, 2, 4, 3, 1]),
    ],
)
def test_preference_follows_the_rules_in_their_order(survivor: tuple[Rule, ...], expected: list[int]) -> None:
    members = [member(4, quality=0.5), member(2, priority=1), member(1), member(3, length=10)]
    table = table_of([*members, member(int(OLD) + 9, priority=-5)], tasks.MEMBERS)
    order = verify.preference(table, DedupConfig(survivor=survivor))
    assert [place & 0xFF for place in table["place"].to_numpy()[order].tolist()] == expected


def test_clusters_do_not_mix() -> None:
    table = table_of([member(1, cluster=2), member(2, cluster=1), member(3, cluster=2)], tasks.MEMBERS)
    assert verify.preference(table, CONFIG).tolist() == [1, 0, 2]


def test_a_hot_bucket_in_which_all_stay_costs_no_square() -> None:
    size = 3_000
    sets = verify.Sets()
    sets.add(Grams(np.arange(4 * size, dtype=np.uint64), np.arange(1, size + 1) * 4))
    hot = np.stack([np.zeros(size, np.uint64), np.arange(1, size + 1, dtype=np.uint64)], axis=1)
    removals, compared = verify.decide(np.arange(size), np.zeros(size, bool), hot, sets, CONFIG)
    assert not removals and compared <= CONFIG.bucket_pairs * size


def test_many_copies_are_compared_once_each() -> None:
    size = 200_000
    sets = verify.Sets()
    sets.add(Grams(np.tile(np.arange(3, dtype=np.uint64), size), np.arange(1, size + 1) * 3))
    copies = np.tile(np.arange(14, dtype=np.uint64), (size, 1))
    removals, compared = verify.decide(np.arange(size), np.zeros(size, bool), copies, sets, CONFIG)
    assert compared == len(removals) == size - 1 and {removal.kept for removal in removals} == {0}
