"""Signatures against datasketch, in which they load and answer queries, and their estimate against the truth."""

import datasketch
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus import shingles
from pipeline.corpus.near import minhash

PERMUTATIONS = 112


def overlapping(count: int, shared: int) -> tuple[shingles.Grams, float]:
    """Two documents of ``count`` shingles with ``shared`` in common, and their Jaccard index."""
    values = np.random.Generator(np.random.Philox(count + shared)).integers(
        0, 2**64, 2 * count - shared, dtype=np.uint64
    )
    hashes = np.concatenate([values[:count], values[count - shared :]])
    return shingles.Grams(hashes, np.array([count, 2 * count])), shared / (2 * count - shared)


def loaded(signature: minhash.U32) -> datasketch.MinHash:
    return datasketch.MinHash(hashvalues=signature, seed=minhash.SEED, scheme=minhash.SCHEME)


def peer_of(grams: shingles.Grams, i: int) -> datasketch.MinHash:
    """datasketch's own signature of the same shingles."""
    peer = datasketch.MinHash(PERMUTATIONS, seed=minhash.SEED, scheme=minhash.SCHEME, hashfunc=int)
    peer.update_batch(grams.of(i).astype(np.uint32).tolist())
    return peer


def test_a_signature_is_the_one_of_datasketch_and_loads_there() -> None:
    texts = ["to be or not to be that is the question", "", "word", "all the world's a stage and all the men " * 300]
    grams = shingles.grams(texts, 5, whole=True)
    signature = minhash.signatures(grams, PERMUTATIONS)
    for i in range(len(texts)):
        peer = peer_of(grams, i)
        assert loaded(signature[i]) == peer and loaded(signature[i]).jaccard(peer) == 1.0
    assert (signature[1] == minhash.EMPTY).all()


def test_our_signatures_answer_queries_of_datasketch_and_its_queries_find_ours() -> None:
    words = [f"w{i}" for i in range(300)]
    texts = [" ".join(words), " ".join(["other", *words[1:]]), " ".join(words[::-1])]
    grams = shingles.grams(texts, 5, whole=True)
    signature = minhash.signatures(grams, PERMUTATIONS)
    index = datasketch.MinHashLSH(num_perm=PERMUTATIONS, params=(14, 8))
    for i in range(len(texts)):
        index.insert(i, loaded(signature[i]))
    assert set(index.query(loaded(signature[0]))) == set(index.query(peer_of(grams, 0))) == {0, 1}
    keys = minhash.band_keys(signature, 14, 8)
    assert (keys[0] == keys[1]).any() and not (keys[0] == keys[2]).any()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=20), max_size=8))
def test_each_value_is_the_minimum_over_the_shingles(documents: list[list[int]]) -> None:
    hashes = np.array([h for document in documents for h in document], np.uint64)
    made = minhash.signatures(shingles.Grams(hashes, np.cumsum([len(d) for d in documents], dtype=np.int64)), 6)
    factor, offset = minhash.parameters(6)
    for document, signature in zip(documents, made.tolist(), strict=True):
        mixed = [_fmix32(h & 0xFFFFFFFF) for h in document]
        expected = [
            min(((m * int(f) + int(o)) % 2**32 for m in mixed), default=2**32 - 1)
            for f, o in zip(factor, offset, strict=True)
        ]
        assert signature == expected


def _fmix32(value: int) -> int:
    value = (value ^ value >> 16) * 0x85EBCA6B % 2**32
    value = (value ^ value >> 13) * 0xC2B2AE35 % 2**32
    return value ^ value >> 16


def test_the_estimate_is_near_the_truth() -> None:
    for count, shared in ((50, 30), (400, 300), (3000, 2700)):
        grams, truth = overlapping(count, shared)
        first, second = minhash.signatures(grams, 1024)
        assert abs(float((first == second).mean()) - truth) < 4 * (truth * (1 - truth) / 1024) ** 0.5


def test_bands_propose_as_often_as_theory_says() -> None:
    """P = 1 - (1 - J^8)^14, also for documents of few shingles (400 pairs, 4 standard deviations)."""
    for count, shared in ((50, 40), (400, 320)):
        pairs = [overlapping(count, shared - i % 3) for i in range(400)]
        rng = np.random.default_rng(count)
        met = expected = 0.0
        for grams, truth in pairs:
            salt = rng.integers(0, 2**64, dtype=np.uint64)
            fresh = shingles.Grams(shingles.mix(grams.hashes ^ salt), grams.ends)
            keys = minhash.band_keys(minhash.signatures(fresh, PERMUTATIONS), 14, 8)
            met += float((keys[0] == keys[1]).any())
            expected += 1 - (1 - truth**8) ** 14
        assert abs(met - expected) < 4 * (expected * (1 - expected / 400)) ** 0.5


def test_documents_longer_than_a_chunk_are_whole() -> None:
    values = np.arange(200_000, dtype=np.uint64)
    grams = shingles.Grams(shingles.mix(values), np.array([10, 150_000, 150_000, 200_000]))
    alone = [shingles.Grams(grams.of(i), np.array([len(grams.of(i))])) for i in (0, 1, 3)]
    signature = minhash.signatures(grams, 16)
    for i, part in zip((0, 1, 3), alone, strict=True):
        assert (minhash.signatures(part, 16)[0] == signature[i]).all()


def test_bands_are_equal_when_their_numbers_and_values_are() -> None:
    signature = np.arange(24, dtype=np.uint32).reshape(2, 12)
    signature[1, :4] = signature[0, :4]
    keys = minhash.band_keys(signature, 3, 4)
    assert (keys[0] == keys[1]).tolist() == [True, False, False]
    swapped = signature[:1, [1, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]]
    assert minhash.band_keys(swapped, 3, 4)[0, 0] != keys[0, 0]
    same = np.ones((1, 12), np.uint32)
    assert len(set(minhash.band_keys(same, 3, 4)[0].tolist())) == 3


def test_keys_are_frozen() -> None:
    """Other values would make the stored indexes of earlier runs meaningless: then the scheme gets a new name."""
    signature = minhash.signatures(shingles.grams(["The quick brown fox jumps over the lazy dog"], 5), 16)
    assert minhash.SCHEME == "affine32"
    assert signature[0, :3].tolist() == FROZEN_SIGNATURE
    assert minhash.band_keys(signature, 2, 8)[0].tolist() == FROZEN_KEYS


FROZEN_SIGNATURE = [728116460, 212309065, 1068747108]
FROZEN_KEYS = [3424870483323565262, 5138790827019628328]
