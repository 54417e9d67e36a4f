"""Private facts: precision and recall on the labelled fixture, what each rule leaves, and properties."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.cleaning import privacy
from pipeline.corpus.cleaning.config import PRIVATE
from tests.pipeline.corpus.cleaning.private_facts import DECOYS, Labelled, fixture

BOUNDS = {"email": (0.98, 0.98), "iban": (0.98, 0.98), "card": (0.98, 0.98), "ip": (0.98, 0.98), "phone": (0.95, 0.95)}
"""Kind -> least precision, least recall, of exact spans. docs/corpus-privacy.md has the figures."""


def found(text: str) -> set[tuple[int, int, str]]:
    """Spans in the text as it was, of what ``mask`` takes."""
    taken: list[tuple[str, str]] = []
    masked = privacy.mask(text, PRIVATE, taken)
    pending = {kind: [fact for k, fact in taken if k == kind] for kind in PRIVATE}
    spans: set[tuple[int, int, str]] = set()
    at, i = 0, 0
    while i < len(masked):
        kind = next((k for k in PRIVATE if masked.startswith(privacy.PLACEHOLDERS[k], i)), None)
        if kind:
            fact = pending[kind].pop(0)
            spans.add((at, at + len(fact), kind))
            at, i = at + len(fact), i + len(privacy.PLACEHOLDERS[kind])
        else:
            at, i = at + 1, i + 1
    assert at == len(text)
    return spans


def measure(texts: list[Labelled]) -> dict[str, tuple[float, float, int]]:
    """Kind -> precision, recall, facts."""
    right, made, true = Counter[str](), Counter[str](), Counter[str]()
    for labelled in texts:
        spans, facts = found(labelled.text), set(labelled.facts)
        right.update(kind for _, _, kind in spans & facts)
        made.update(kind for _, _, kind in spans)
        true.update(kind for _, _, kind in facts)
    return {kind: (right[kind] / made[kind], right[kind] / true[kind], true[kind]) for kind in PRIVATE}


def test_precision_and_recall_on_the_labelled_fixture() -> None:
    texts = fixture()
    assert sum(len(labelled.facts) for labelled in texts) >= 300
    assert sum(not labelled.facts for labelled in texts) >= 250
    measured = measure(texts)
    for kind, (precision, recall) in BOUNDS.items():
        assert measured[kind][0] >= precision and measured[kind][1] >= recall, (kind, measured[kind])


@pytest.mark.parametrize("decoy", DECOYS)
def test_a_decoy_is_left(decoy: str) -> None:
    assert found(decoy) == set()


def test_what_is_masked_stands_in_its_place_and_is_told_once() -> None:
    taken: list[tuple[str, str]] = []
    text = "Ann <ann@firma24.de>, tel. 030 1234567 or +49 171 1234567, from 93.184.216.34."
    assert privacy.mask(text, PRIVATE, taken) == "Ann <EMAIL>, tel. <PHONE> or <PHONE>, from <IP>."
    assert sorted(taken) == [
        ("email", "<ann@firma24.de>"),
        ("ip", "93.184.216.34"),
        ("phone", "+49 171 1234567"),
        ("phone", "030 1234567"),
    ]


def test_only_the_kinds_asked_for_are_masked() -> None:
    text = "a@b.fr 93.184.216.34"
    assert privacy.mask(text, ("ip",), []) == "a@b.fr <IP>"
    assert privacy.mask(text, (), []) == text


def test_a_shape_shows_no_secret() -> None:
    assert privacy.shape("j.o'neil7@b\u00fccher.de") == "x.x'xxxx9@xxxxxx.xx"
    assert privacy.shape("+49 (0)30 12") == "+99 (9)99 99"


TOKENS = [
    *"ab1 290.:-/@+()\n<>x",
    "a@b.fr",
    "030 1234567",
    "+44 20 7946 0958",
    "93.184.216.34",
    "2a00:1::2:3",
    "tel: ",
    "call ",
]
TOKENS += ["DE89370400440532013000", "GB82 WEST 1234 5698 7654 32", "4111 1111 1111 1111", "555-123-4567", "mailto:"]
texts = st.lists(st.sampled_from(TOKENS), max_size=30).map("".join)


@settings(max_examples=50, deadline=None)
@given(texts)
def test_masking_is_idempotent_and_takes_only_what_it_tells(text: str) -> None:
    taken: list[tuple[str, str]] = []
    masked = privacy.mask(text, PRIVATE, taken)
    assert privacy.mask(masked, PRIVATE, []) == masked
    for kind in reversed(PRIVATE):  # put back in the order in which they were taken
        facts = iter([fact for k, fact in taken if k == kind])
        parts = masked.split(privacy.PLACEHOLDERS[kind])
        masked = parts[0] + "".join(next(facts) + part for part in parts[1:])
    assert masked == text


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=200))
def test_any_text_can_be_masked(text: str) -> None:
    privacy.mask(text, PRIVATE, [])


@pytest.mark.parametrize("token", ["1.", "a@", "a.", "+1 ", "0 1", "2a00:", "AA11 ", "(2", "4111 ", "1-", "tel: 1"])
def test_time_grows_with_the_text_and_no_faster(token: str) -> None:
    """A quadratic rule would not come back."""
    privacy.mask(token * (400_000 // len(token)), PRIVATE, [])
