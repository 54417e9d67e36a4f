import gc
import itertools
import weakref

import pytest
import torch

from models.shards import aligned_subtrees, combine, ranges, tree_sum


@pytest.mark.parametrize(("shards", "members"), list(itertools.product(range(1, 20), range(1, 7))))
def test_ranges_cut_the_shards_evenly(shards: int, members: int) -> None:
    cuts = ranges(shards, members)
    assert [g for lo, hi in cuts for g in range(lo, hi)] == list(range(shards))
    sizes = [hi - lo for lo, hi in cuts]
    assert len(sizes) == members
    assert max(sizes) - min(sizes) <= 1


def test_aligned_subtrees_cover_with_the_largest_nodes() -> None:
    for lo, hi in itertools.combinations_with_replacement(range(40), 2):
        nodes = aligned_subtrees(lo, hi)
        assert [g for start, size in nodes for g in range(start, start + size)] == list(range(lo, hi))
        for start, size in nodes:
            assert size & (size - 1) == 0
            assert start % size == 0
            parent = start - start % (2 * size)
            assert parent < lo or parent + 2 * size > hi  # the parent would not fit
    assert aligned_subtrees(3, 11) == [(3, 1), (4, 4), (8, 2), (10, 1)]


def test_the_tree_by_hand() -> None:
    # 1e8 swallows a 3.0 in float32, so the order of the additions shows
    leaves = torch.tensor([3.0, 1e8, -1e8, 3.0, 3.0])
    whole = (leaves[0] + leaves[1]) + (leaves[2] + leaves[3]) + leaves[4]
    for cuts in ([0, 5], [0, 1, 5], [0, 2, 3, 5], [0, 1, 2, 3, 4, 5]):
        nodes = [node for lo, hi in itertools.pairwise(cuts) for node in aligned_subtrees(lo, hi)]
        have = {node: tree_sum(*node, leaf=lambda g: leaves[g].clone()) for node in nodes}
        assert combine(have, 5).equal(whole)
    in_order = leaves[0] + leaves[1] + leaves[2] + leaves[3] + leaves[4]
    assert not in_order.equal(whole)


def test_a_hole_is_noticed() -> None:
    with pytest.raises(KeyError, match="shard 1 of 3"):
        combine({(0, 1): torch.ones(1), (2, 1): torch.ones(1)}, 3)


def test_what_was_summed_is_free_at_once() -> None:
    """A sum that waits for the cyclic collector is a whole gradient more in memory with every step."""
    gc.disable()
    try:
        received = torch.ones(8)
        seen, total = weakref.ref(received), combine({(0, 2): received, (2, 2): torch.ones(8)}, 4)
        del received
        assert float(total[0]) == 2.0
        assert seen() is None
    finally:
        gc.enable()
