"""Wilson's interval, chance levels, and the sums of a text."""

import math

import pytest

from pipeline.evaluate import summary
from pipeline.evaluate.perplexity import Excerpt, xz_bytes
from pipeline.evaluate.tasks import Item


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    # R: prop.test(hits, count, correct=FALSE)
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (29, 29, 0.8830, 1.0)],
)
def test_wilson_interval(hits: int, count: int, low: float, high: float) -> None:
    assert summary.wilson(hits, count) == pytest.approx((low, high), abs=5e-5)


def test_wilson_interval_is_symmetric_and_whole_without_data() -> None:
    low, high = summary.wilson(30, 100)
    assert summary.wilson(70, 100) == pytest.approx((1 - high, 1 - low))
    assert summary.wilson(0, 0) == (0.0, 1.0)


def items(words: list[str]) -> list[Item]:
    return [Item(str(i), "cloze", "s", "x", (w,), 0, "d") for i, w in enumerate(words)]


def test_chance_levels() -> None:
    assert summary.chance(items([" a", " b", " a", " c"]), "cloze") == 0.5
    two = Item("0", "choice", "s", "x", ("a", "b"), 0, "d")
    four = Item("1", "choice", "s", "x", ("a", "b", "c", "d"), 0, "d")
    assert summary.chance([two, four], "choice") == pytest.approx(0.375)
    assert summary.chance([], "choice") is None


def test_items_that_fit_nowhere_are_counted() -> None:
    good = {"id": "0", "source": "s", "shots": 2, "cut": 3, "logprobs": [-2.0], "exact": True}
    found = summary.task([good, {"id": "1", "source": "s", "too_long": "why"}], items([" a", " b"]), "cloze")
    assert (found["too_long"], found["context_cut"], found["shots"]) == (1, 1, {"2": 1})
    assert found["exact"]["hits"] == 1 and found["exact"]["items"] == 1 and found["nats_per_word"] == 2.0


def test_text_is_summed_by_source_and_packed_together() -> None:
    texts = [Excerpt("a", b"aaaa" * 50, 2, 7, [1, 5, 6]), Excerpt("b", b"bbbb" * 50, 1, 0, [1, 5])]
    rows = [{"source": "b", "tokens": 1, "nats": 1.0}, {"source": "a", "tokens": 2, "nats": 3.0}]
    found = summary.text(rows, texts)
    assert found["sources"]["a"]["bits_per_byte"] == pytest.approx(3 / math.log(2) / 200)
    total = found["total"]
    assert (total["bytes"], total["tokens"], total["left_out_bytes"], total["nats"]) == (400, 3, 7, 4.0)
    assert total["xz_bytes"] == xz_bytes(b"aaaa" * 50 + b"bbbb" * 50)
    assert total["ratio"] == pytest.approx(total["bits_per_byte"] / total["xz_bits_per_byte"])


def test_a_token_that_was_not_scored_is_an_error() -> None:
    with pytest.raises(AssertionError, match="1 of 2 scored"):
        summary.text([{"source": "a", "tokens": 1, "nats": 1.0}], [Excerpt("a", b"aa", 1, 0, [1, 5, 6])])
