"""Signatures against datasketch, and their estimate against the true Jaccard index."""

import datasketch
import numpy as np

from pipeline.corpus import minhash, shingles

PERMUTATIONS = 112


def overlapping(count: int, shared: int) -> tuple[shingles.Grams, float]:
    """Two documents of ``count`` shingles with ``shared`` in common, and their Jaccard index."""
    values = np.random.Generator(np.random.Philox(count + shared)).integers(
        0, 2**64, 2 * count - shared, dtype=np.uint64
    )
    hashes = np.concatenate([values[:count], values[count - shared :]])
    return shingles.Grams(hashes, np.array([count, 2 * count])), shared / (2 * count - shared)


def test_a_signature_is_the_one_of_datasketch_and_loads_there() -> None:
    texts = ["to be or not to be that is the question", "", "word", "all the world's a stage and all the men " * 300]
    grams = shingles.grams(texts, 5, whole=True)
    signature = minhash.signatures(grams, PERMUTATIONS)
    for i in range(len(texts)):
        peer = datasketch.MinHash(PERMUTATIONS, seed=minhash.SEED, scheme=minhash.SCHEME, hashfunc=int)
        peer.update_batch(grams.of(i).astype(np.uint32).tolist())
        loaded = datasketch.MinHash(hashvalues=signature[i], seed=minhash.SEED, scheme=minhash.SCHEME)
        assert loaded == peer and loaded.jaccard(peer) == 1.0
    assert (signature[1] == minhash.EMPTY).all()


def test_the_estimate_is_near_the_truth() -> None:
    for count, shared in ((50, 30), (400, 300), (3000, 2700)):
        grams, truth = overlapping(count, shared)
        first, second = minhash.signatures(grams, 1024)
        assert abs(float((first == second).mean()) - truth) < 4 * (truth * (1 - truth) / 1024) ** 0.5


def test_documents_longer_than_a_chunk_are_whole() -> None:
    values = np.arange(200_000, dtype=np.uint64)
    grams = shingles.Grams(shingles.mix(values), np.array([10, 150_000, 150_000, 200_000]))
    alone = [shingles.Grams(grams.of(i), np.array([len(grams.of(i))])) for i in (0, 1, 3)]
    signature = minhash.signatures(grams, 16)
    for i, part in zip((0, 1, 3), alone, strict=True):
        assert (minhash.signatures(part, 16)[0] == signature[i]).all()


def test_bands_are_equal_when_their_values_are() -> None:
    signature = np.arange(24, dtype=np.uint32).reshape(2, 12)
    signature[1, :4] = signature[0, :4]
    keys = minhash.band_keys(signature, 3, 4)
    assert (keys[0] == keys[1]).tolist() == [True, False, False]
    swapped = signature[:1, [1, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]]
    assert minhash.band_keys(swapped, 3, 4)[0, 0] != keys[0, 0]
