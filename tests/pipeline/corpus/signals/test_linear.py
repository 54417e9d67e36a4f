import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.errors import CorruptPiece
from pipeline.corpus.signals import linear
from pipeline.corpus.signals.config import LearnerConfig

SMALL = LearnerConfig(buckets=4096)


def made(words: str, count: int, seed: int) -> list[str]:
    """Texts of ten words of a few; most samples of a kind share words with the other."""
    chosen = random.Random(seed)
    return [" ".join(chosen.choices(words.split(), k=10)) for _ in range(count)]


GOOD = made("river mountain forest meadow the of and", 60, 1)
BAD = made("casino bonus jackpot winner the of and", 80, 2)
MODEL = linear.train(GOOD, BAD, SMALL)


def test_two_kinds_are_told_apart() -> None:
    assert MODEL.facts["auc"] > 0.99
    assert MODEL.facts["accuracy"] > 0.95
    assert MODEL.facts["learnt_from"] == {"positive": 48, "negative": 64}
    assert MODEL.facts["held_out"] == {"positive": 12, "negative": 16}
    assert MODEL.score("a river in the forest") > 0.6
    assert MODEL.score("the casino bonus") < 0.4


def test_the_bits_depend_on_the_set_of_samples_only() -> None:
    shuffled = linear.train(GOOD[::-1] + GOOD[:5], [*BAD[40:], *BAD[:40]], SMALL)
    assert linear.pack(shuffled) == linear.pack(MODEL)
    assert linear.pack(linear.train(GOOD[1:], BAD, SMALL)) != linear.pack(MODEL)


def test_the_bits_are_those_of_every_machine() -> None:
    assert linear.key_of(MODEL.weights.tobytes().hex()) == 0xDC91EDA891344EFB
    assert (MODEL.bias.hex(), MODEL.score("the river of jackpot").hex()) == (
        "0x1.adb37c3d0d306p-4",
        "0x1.54798b535c644p-2",
    )


def test_labels_that_say_nothing_are_not_learnt() -> None:
    texts = sorted(GOOD + BAD, key=linear.key_of)
    random.Random(3).shuffle(texts)
    model = linear.train(texts[:70], texts[70:], SMALL.model_copy(update={"heldout": 0.5}))
    assert abs(model.facts["auc"] - 0.5) < 0.2


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet=st.characters(), max_size=300))
def test_a_score_is_a_probability_and_features_are_a_set(text: str) -> None:
    found = linear.features(text, 64, 200)
    assert found.tolist() == sorted(set(found.tolist()))
    assert not len(found) or 0 <= found[0] <= found[-1] < 64
    assert 0 < MODEL.score(text) < 1
    assert linear.features(text.replace(" ", "  \n"), 64, 10**6).tolist() == linear.features(text, 64, 10**6).tolist()


def test_only_the_start_of_a_text_is_looked_at() -> None:
    assert (
        linear.features("river " * 100 + "casino", 4096, 600).tolist()
        == linear.features("river " * 100, 4096, 600).tolist()
    )


@settings(max_examples=50, deadline=None)
@given(st.floats(-40, 40))
def test_the_logistic_function(z: float) -> None:
    clipped = min(30.0, max(-30.0, z))
    assert linear.logistic(z) == pytest.approx(1 / (1 + math.exp(-clipped)), rel=1e-11)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.1, 0.4, 0.5, 0.9]), st.sampled_from([0.0, 1.0])), min_size=2))
def test_the_area_is_the_share_of_pairs_in_order(scores: list[tuple[float, float]]) -> None:
    up, down = ([s for s, label in scores if label == kind] for kind in (1.0, 0.0))
    if not up or not down:
        return
    pairs = [1.0 if u > d else 0.5 if u == d else 0.0 for u in up for d in down]
    facts = linear.measure(scores)
    assert facts["auc"] == pytest.approx(sum(pairs) / len(pairs), abs=1e-4)
    assert facts["passing"][4] == {
        "threshold": 0.5,
        "positive": round(sum(u >= 0.5 for u in up) / len(up), 4),
        "negative": round(sum(d >= 0.5 for d in down) / len(down), 4),
    }


def test_a_model_comes_back_as_it_went_and_another_scheme_is_refused() -> None:
    data = linear.pack(MODEL)
    again = linear.unpack(data, "learnt/x.bin")
    assert np.array_equal(again.weights, MODEL.weights)
    assert (again.bias, again.facts, again.text_characters) == (MODEL.bias, MODEL.facts, MODEL.text_characters)
    with pytest.raises(CorruptPiece):
        linear.unpack(data.replace(b"linear-1", b"linear-0", 1), "learnt/x.bin")
