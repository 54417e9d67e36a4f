"""Components in rounds, by any number of parts and tasks, against scipy's on the whole graph."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.corpus.near import components
from pipeline.corpus.near.buckets import OLD
from pipeline.corpus.near.components import RECORD, Shape
from pipeline.corpus.shingles import U64

ROUNDS = 64


def solve(a: U64, b: U64, parts: int, tasks: int, rounds: int = ROUNDS) -> tuple[dict[int, int], int, int]:
    """Labels by the rounds, which number they took, and the most records that a task read."""
    sent = []
    for writer in range(parts):  # edges are found anywhere
        own = np.arange(len(a)) % parts == writer
        root, child = components.stars(a[own], b[own])
        sent.append(components.send(root, child, np.zeros(0, RECORD), Shape(parts, parts)))
    shape = Shape(parts, tasks)
    largest = took = 0
    left = 1
    while left and took < rounds:
        took += 1
        made, left = [], 0
        for task in range(tasks):
            rows = read(sent, list(shape.of_task(task)))
            largest = max(largest, len(rows))
            out, unsettled = components.advance(rows, shape, task)
            made.append(out)
            left += unsettled
        sent = made
        left *= tasks > 1
    found: dict[int, int] = {}
    for part in range(parts):
        nodes, labels = components.labels(read(sent, [part]), shape, part)
        assert (shape.home(nodes) == part).all() and (np.diff(nodes.astype(np.int64)) > 0).all()
        found.update(zip(nodes.tolist(), labels.tolist(), strict=True))
    return found, took, largest


def read(sent: list[list[bytes]], parts: list[int]) -> Any:
    return np.frombuffer(b"".join(out[part] for part in parts for out in sent), RECORD)


def truth(a: U64, b: U64) -> dict[int, int]:
    nodes, at = np.unique(np.concatenate([a, b]), return_inverse=True)
    shape = (len(nodes), len(nodes))
    _, label = connected_components(coo_array((np.ones(len(a)), (at[: len(a)], at[len(a) :])), shape=shape), False)
    smallest: dict[int, int] = {}
    for node, own in zip(nodes.tolist(), label.tolist(), strict=True):
        smallest.setdefault(own, node)
    return {node: smallest[own] for node, own in zip(nodes.tolist(), label.tolist(), strict=True)}


def places(numbers: Any, parts: int) -> U64:
    """Nodes spread over the parts, some of them documents of earlier runs."""
    numbers = np.asarray(numbers, np.uint64)
    old = np.where(numbers % np.uint64(7) == 3, OLD, np.uint64(0))
    return old + (numbers * np.uint64(2654435761) % np.uint64(parts) << np.uint64(32)) + numbers


def ordered(a: U64, b: U64) -> tuple[U64, U64]:
    return np.minimum(a, b)[a != b], np.maximum(a, b)[a != b]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=60), st.integers(1, 6), st.integers(1, 6))
def test_random_graphs(pairs: list[tuple[int, int]], parts: int, tasks: int) -> None:
    edges = np.array(pairs, np.uint64).reshape(-1, 2)
    a, b = ordered(places(edges[:, 0], parts), places(edges[:, 1], parts))
    assert solve(a, b, parts, min(parts, tasks))[0] == truth(a, b)


@pytest.mark.parametrize(("parts", "tasks"), [(1, 1), (4, 4), (16, 16), (16, 3)])
def test_long_chains_and_sparse_graphs_end_in_few_rounds(parts: int, tasks: int) -> None:
    draw = np.random.default_rng(parts)
    order = draw.permutation(4000)
    for one, other in (
        (np.arange(3999), np.arange(1, 4000)),
        (order[:-1], order[1:]),
        (draw.integers(0, 4000, 2200), draw.integers(0, 4000, 2200)),
    ):
        a, b = ordered(places(one, parts), places(other, parts))
        found, rounds, _ = solve(a, b, parts, tasks)
        assert found == truth(a, b)
        assert rounds <= 2 * np.log2(4000)


def test_a_hub_does_not_gather_its_children_in_one_task() -> None:
    parts, size = 8, 20_000
    a, b = ordered(places(np.zeros(size - 1), parts), places(np.arange(1, size), parts))
    found, rounds, largest = solve(a, b, parts, parts)
    assert found == truth(a, b) and rounds == 1
    assert largest < 1.2 * size / parts + parts**2


def test_rounds_that_end_early_say_so_and_split_components_only() -> None:
    a, b = ordered(places(np.arange(999), 8), places(np.arange(1, 1000), 8))
    found, rounds, _ = solve(a, b, 8, 8, rounds=2)
    whole = truth(a, b)
    assert rounds == 2 and found != whole and found.keys() == whole.keys()
    assert all(whole[node] == whole[label] for node, label in found.items())


def test_each_part_belongs_to_one_task() -> None:
    for parts in range(1, 12):
        for tasks in range(1, parts + 1):
            shape = Shape(parts, tasks)
            assert [part for task in range(tasks) for part in shape.of_task(task)] == list(range(parts))
            nodes = np.arange(parts, dtype=np.uint64) << np.uint64(32)
            firsts = [shape.of_task(task).start for task in range(tasks) for _ in shape.of_task(task)]
            assert shape.desk(nodes).tolist() == firsts
