"""Token dropout and fill-in-the-middle: keyed by (seed, sample), and nothing is lost but what is pushed out."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.errors import ConfigError
from models.tokenizer import Tokenizer
from pipeline.pretrain.config import PretrainConfig
from pipeline.pretrain.options.augment import SENTINELS, Augment

PAD, END, SIGNS = 0, 1, (90, 91, 92)


def augment(dropout: float = 0.0, fim_rate: float = 0.0, seed: int = 3) -> Augment:
    return Augment(seed, dropout, fim_rate, PAD, END, SIGNS)


WINDOWS = st.lists(st.integers(END, 60), min_size=2, max_size=40).map(lambda ids: np.array(ids, np.int64))


@settings(max_examples=30, deadline=None)
@given(WINDOWS, st.integers(0, 10**6))
def test_a_sample_is_a_function_of_seed_and_number(window: np.ndarray, k: int) -> None:
    change = augment(0.4, 0.5)
    assert np.array_equal(change(k, window), change(k, window.copy()))
    assert len(change(k, window)) == len(window)


def test_another_number_or_seed_hides_others() -> None:
    window = np.arange(2, 200)
    found = {tuple(augment(0.5, seed=seed)(k, window)) for seed in range(3) for k in range(20)}
    assert len(found) == 60


def test_dropout_hides_its_share_from_the_input_and_none_from_the_target() -> None:
    window = np.arange(2, 20_002) % 60 + 2
    batch = torch.from_numpy(augment(0.25)(0, window))[None]
    inputs, targets = augment().inputs(batch), augment().targets(batch)
    assert torch.equal(targets[0], torch.from_numpy(window))
    hidden = inputs[0] == PAD
    assert hidden.float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert torch.equal(inputs[0][~hidden], targets[0][~hidden])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(2, 60), max_size=20), st.integers(0, 1000))
def test_a_document_is_set_as_prefix_suffix_middle(document: list[int], k: int) -> None:
    window = np.array([*document, END, *[5] * 9], np.int64)  # what follows is pushed out
    out = augment(fim_rate=1.0)(k, window).tolist()
    if not document:
        assert out[0] == END
        return
    place = {sign: out.index(sign) for sign in SIGNS}
    end = out.index(END)
    assert place[90] == 0 < place[91] < place[92] < end
    prefix, suffix, middle = out[1 : place[91]], out[place[91] + 1 : place[92]], out[place[92] + 1 : end]
    assert prefix + middle + suffix == document


def test_documents_are_set_with_the_rate_each_for_itself() -> None:
    window = np.array(([7] * 5 + [END]) * 2000, np.int64)
    set_so = Counter(augment(fim_rate=0.3)(0, window).tolist())[90]
    assert set_so / 2000 == pytest.approx(0.3, abs=0.06)  # some are pushed out of the window


def test_without_either_a_window_stays() -> None:
    window = np.arange(10)
    assert np.array_equal(augment()(0, window), window)


def test_a_vocabulary_without_sentinels_is_refused_and_one_with_them_is_taken() -> None:
    plain = Tokenizer.train(["some text"], 260)
    how = PretrainConfig(fim_rate=0.5)
    with pytest.raises(ConfigError, match="fim_rate"):
        Augment.of(how, 1, plain)
    assert Augment.of(PretrainConfig(token_dropout=0.1), 1, plain).pad == plain.pad_id
    said = json.loads(plain.to_json())
    for i, name in enumerate(SENTINELS[1], 260):
        token = {"id": i, "content": name, "special": True, "normalized": False}
        said["added_tokens"].append({**token, "lstrip": False, "rstrip": False, "single_word": False})
    assert Augment.of(how, 1, Tokenizer.load(json.dumps(said))).sentinels == (260, 261, 262)
