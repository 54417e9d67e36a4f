"""Held-out text: each token is scored once, xz, and the bits of a uniform model in closed form."""

import math
import shutil
import subprocess

import pytest
import torch

from pipeline.evaluate.perplexity import bits_per_byte, excerpt, window_nats, windows, xz_bytes
from tests.pipeline.evaluate.tiny import Bytes, random_gpt, uniform_gpt


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 10, 64, 65, 100])
@pytest.mark.parametrize("stride", [1, 5, 8])
def test_each_token_after_the_first_is_scored_once(length: int, stride: int) -> None:
    made = windows("s", length, 8, stride)
    scored = [t for w in made for t in range(w.first, w.stop + 1)]
    assert scored == list(range(1, length))
    assert sum(w.scored for w in made) == length - 1
    for w in made:
        assert 0 <= w.start < w.first <= w.stop and w.stop - w.start <= 8
    for w in made[1:]:
        assert w.first - w.start > 8 - stride  # tokens seen before the first scored one


def test_the_cap_takes_documents_in_order_of_id_and_counts_the_rest() -> None:
    documents = [("b", "22é2"), ("a", "111"), ("c", "3")]
    found = excerpt("s", documents, Bytes(), cap=6)
    # 3 bytes of a, then 2 of b: the third would break the letter in two. The short c does not slip in.
    assert (found.data, found.documents, found.left_out) == (b"11122", 2, 4)
    assert found.tokens == [1, *Bytes().encode("111"), 1, *Bytes().encode("22")]
    whole = excerpt("s", documents, Bytes(), cap=100)
    assert (whole.data, whole.documents, whole.left_out) == ("11122é23".encode(), 3, 0)
    assert whole.tokens[-1] == 1 and whole.tokens.count(1) == 4


def test_a_uniform_model_pays_log2_of_the_vocabulary_for_each_token() -> None:
    model = uniform_gpt(context=16)
    tokens = [1, *range(4, 60)]
    made = windows("s", len(tokens), 16, 12)
    nats = math.fsum(window_nats(model, tokens, w) for w in made)
    expected = math.log2(model.config.vocab_size) * 56 / 123
    assert bits_per_byte(nats, 123) == pytest.approx(expected, rel=1e-6)


def test_windows_agree_with_a_naive_token_by_token_score() -> None:
    model = random_gpt(context=8)
    tokens = torch.randint(4, 260, (30,), generator=torch.Generator().manual_seed(0)).tolist()
    for w in windows("s", len(tokens), 8, 5):
        naive = 0.0
        for t in range(w.first, w.stop + 1):
            with torch.inference_mode():
                logits = model(torch.tensor([tokens[w.start : t]]))[0, -1]
            naive -= float(torch.log_softmax(logits, -1)[tokens[t]])
        assert window_nats(model, tokens, w) == pytest.approx(naive, abs=1e-4)


@pytest.mark.skipif(shutil.which("xz") is None, reason="the xz program is not installed")
def test_the_baseline_is_the_size_of_xz_9e() -> None:
    data = b"".join(b"line %d of the same old story\n" % (i * i % 97) for i in range(3000))
    packed = subprocess.run(["xz", "-9e", "-T1", "-c"], input=data, capture_output=True, check=True).stdout
    assert xz_bytes(data) == len(packed)
