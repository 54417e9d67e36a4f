"""Connected components of a graph that no machine holds, in rounds. Knows nodes (places), no document and no file.

Nodes have homes: parts of an exchange. In a round each task takes the edges of its parts, contracts each component
of what it sees to a star around its smallest node, and sends each edge (root, child) to the child's home, together
with a wish to the root's home: tell this task what becomes of the root. The root's home answers with the root's own
edge. So paths halve (pointer jumping: Shiloach and Vishkin 1982) while a hub of a million children costs its home one
wish a task, not a million edges, unlike in Hash-to-Min (arXiv 1203.5387). The edges always span the same components;
when no child has two parents and no parent has one, each star is a component, and its root is its smallest node.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.corpus import shuffle
from pipeline.corpus.shingles import I64, U64

RECORD = np.dtype([("root", "<u8"), ("child", "<u8")])
WISH = np.uint64(1 << 63)  # in ``child``: the record is a wish for ``root``, and the other bits say to which part
Records = NDArray[Any]


@dataclass(frozen=True)
class Shape:
    """``parts`` of the exchange; a round has ``tasks`` <= parts, and task t takes a contiguous range of parts."""

    parts: int
    tasks: int

    def home(self, nodes: U64) -> I64:
        """The part of each node: its piece, or for a document of an earlier run the number of its piece there."""
        return ((nodes >> np.uint64(32) & np.uint64(0xFFFF)) % np.uint64(self.parts)).astype(np.int64)

    def of_task(self, task: int) -> range:
        return range(self._start(task), self._start(task + 1))

    def desk(self, nodes: U64) -> I64:
        """The first part of the task that has the node."""
        starts = np.array([self._start(task) for task in range(self.tasks)])
        return starts[np.searchsorted(starts, self.home(nodes), side="right") - 1]

    def _start(self, task: int) -> int:
        return -(-task * self.parts // self.tasks)


def records(root: U64, child: U64) -> Records:
    """Two columns as records."""
    made = np.empty(len(root), RECORD)
    made["root"], made["child"] = root, child
    return made


def stars(root: U64, child: U64) -> tuple[U64, U64]:
    """The components of some edges as stars: the smallest node beside each other one, sorted by the latter."""
    nodes, at = np.unique(np.concatenate([root, child]), return_inverse=True)
    a, b = at[: len(root)], at[len(root) :]
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(len(nodes), len(nodes)))
    _, label = connected_components(graph, directed=False)
    _, first = np.unique(label, return_index=True)  # nodes are sorted, so the first of a label is its smallest
    least = nodes[first][label]
    return least[least != nodes], nodes[least != nodes]


def send(root: U64, child: U64, wishes: Records, shape: Shape) -> list[bytes]:
    """What leaves a task, by part: its stars to the children's homes, its own wishes, answers to those of others."""
    asked = distinct(records(root, shape.desk(child).astype(np.uint64) | WISH))
    at = np.searchsorted(child, wishes["root"])
    known = np.flatnonzero(at < len(child))
    known = known[child[at[known]] == wishes["root"][known]]
    answers = records(root[at[known]], child[at[known]])
    desks = (wishes["child"][known] & ~WISH).astype(np.int64)
    away = desks != shape.desk(answers["child"])  # a task hears of its own children anyway
    parts = [shape.home(child), shape.home(asked["root"]), desks[away]]
    rows = np.concatenate([records(root, child), asked, answers[away]])
    return shuffle.scatter(rows, np.concatenate(parts), shape.parts)


def distinct(rows: Records) -> Records:
    """Each record once, by root and then child. (numpy sorts columns ten times as fast as records.)"""
    rows = rows[np.lexsort([rows["child"], rows["root"]])]
    fresh = np.ones(len(rows), bool)
    fresh[1:] = (rows["root"][1:] != rows["root"][:-1]) | (rows["child"][1:] != rows["child"][:-1])
    return rows[fresh]


def split(rows: Records) -> tuple[Records, Records]:
    """Edges and wishes of what a task was sent, each record once."""
    rows = distinct(rows)
    wish = rows["child"] >= WISH
    return rows[~wish], rows[wish]


def unsettled(edges: Records, wishes: Records, shape: Shape, task: int) -> int:
    """Children of this task with several parents, and its parents that have one themselves: 0 everywhere is the end."""
    parts = shape.of_task(task)
    home = shape.home(edges["child"])
    children, parents = np.unique(edges["child"][(home >= parts.start) & (home < parts.stop)], return_counts=True)
    return int((parents > 1).sum()) + int(np.isin(np.unique(wishes["root"]), children).sum())


def advance(rows: Records, shape: Shape, task: int) -> tuple[list[bytes], int]:
    """One round of one task: what it sends, and how many of its nodes were unsettled when the round began."""
    edges, wishes = split(rows)
    root, child = stars(edges["root"], edges["child"])
    return send(root, child, wishes, shape), unsettled(edges, wishes, shape, task)


def labels(rows: Records, shape: Shape, part: int) -> tuple[U64, U64]:
    """(node, smallest node of its component) of the nodes of a part that are in a component, sorted, after the rounds.

    Where the rounds ended early, a component may still be in several parts, each under a label of its own.
    """
    edges, wishes = split(rows)  # sorted by root, so that a child's smallest parent comes first
    edges = edges[shape.home(edges["child"]) == part]
    child, first = np.unique(edges["child"], return_index=True)
    roots = np.setdiff1d(wishes["root"], child)
    nodes = np.concatenate([child, roots])
    order = np.argsort(nodes)
    return nodes[order], np.concatenate([edges["root"][first], roots])[order]
