"""Logical shards and the one binary tree that sums them, whatever the number of members. Knows no model, no network.

A step's batch is G logical shards. The tree over them is fixed: node (lo, size) covers the shards [lo, lo + size), size
a power of two that divides lo, and is left half + right half; where the right half lies beyond G, it is the left half.
A member that owns [lo, hi) sums the largest nodes inside by itself; the rest of the tree is summed after the exchange.
Floating-point addition is not associative, so the same tree gives the same bits, and no other way does.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise

from torch import Tensor

Node = tuple[int, int]  # (first shard, size)


def ranges(shards: int, members: int) -> list[tuple[int, int]]:
    """Cut [0, shards) into `members` contiguous ranges [lo, hi); some are empty where members > shards."""
    cuts = [shards * i // members for i in range(members + 1)]
    return list(pairwise(cuts))


def aligned_subtrees(lo: int, hi: int) -> list[Node]:
    """Cut [lo, hi) into the largest nodes of the tree, in order."""
    nodes = []
    while lo < hi:
        size = 1 << (hi - lo).bit_length() - 1
        if lo:
            size = min(size, lo & -lo)
        nodes.append((lo, size))
        lo += size
    return nodes


def tree_sum(lo: int, size: int, leaf: Callable[[int], Tensor]) -> Tensor:
    """Sum of leaf(lo) ... leaf(lo + size - 1) in tree order, added up in the leaves: each must be a fresh tensor."""
    if size == 1:
        return leaf(lo)
    half = size // 2
    left = tree_sum(lo, half, leaf)
    return left.add_(tree_sum(lo + half, half, leaf))


def combine(have: Mapping[Node, Tensor], shards: int) -> Tensor:
    """The root of the tree over `shards` leaves, from nodes that cover it. Raises KeyError if one is missing."""
    return _node(have, shards, 0, 1 << (shards - 1).bit_length())


def _node(have: Mapping[Node, Tensor], shards: int, lo: int, size: int) -> Tensor:
    """The sum at one node. No closure: one that calls itself is a cycle, which would hold a step's sums until the
    collector comes, a whole gradient a step."""
    if (lo, size) in have:
        return have[(lo, size)]
    if size == 1:
        raise KeyError(f"no sum covers shard {lo} of {shards}")
    half = size // 2
    left = _node(have, shards, lo, half)
    return left if lo + half >= shards else left + _node(have, shards, lo + half, half)
