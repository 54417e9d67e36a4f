"""How contaminated each benchmark was, and is: counts of items, and a table of them. Knows no text."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from pipeline.corpus.leaks.benchmarks import is_item, of
from pipeline.corpus.leaks.index import Index
from pipeline.corpus.leaks.judge import holding
from pipeline.sections import Cell, Table

Bits = NDArray[np.bool_]
Contamination = dict[str, dict[str, int]]


def contamination(
    index: Index, before: Bits, after: Bits, rare: Bits, leaks: list[dict[str, list[int]]]
) -> Contamination:
    """By benchmark (held-out documents are one): items, how many are too short to look for, are boilerplate of the
    training text, stood in it before and stand in it after; documents dropped and cut for it.

    ``before`` and ``after`` say which n-grams of the index the training text has; of held-out documents the rare ones
    count. Items of which parts stand in several documents, too little of it in each to condemn one, are the difference
    to none that may be left.
    """
    item = np.array([is_item(name) for name in index.names], bool)
    rarely, common = holding(index, before & rare), holding(index, before)
    found, still = np.where(item, common, rarely), holding(index, after & rare) | item & holding(index, after)
    made: Contamination = defaultdict(lambda: dict.fromkeys(_COLUMNS, 0))
    for i, name in enumerate(index.names):
        own = made[of(name)]
        own["items"] += 1
        own["too_short"] += bool(index.need[i] == 0)
        own["boilerplate"] += bool(common[i] and not rarely[i])
        own["found"] += bool(found[i])
        own["left"] += bool(still[i])
    for part in leaks:
        for benchmark, (dropped, cut) in part.items():
            made[benchmark]["dropped"] += dropped
            made[benchmark]["cut"] += cut
    return dict(made)


_COLUMNS = {
    "items": "items",
    "too_short": "too short to look for",
    "boilerplate": "boilerplate",
    "found": "found before",
    "left": "found after",
    "dropped": "documents dropped",
    "cut": "documents cut",
}


def table(found: Contamination) -> Table:
    """The contamination of each benchmark, for the report."""
    rows: list[list[Cell]] = [[name, *(own[column] for column in _COLUMNS)] for name, own in sorted(found.items())]
    note = (
        "An item counts as found when its n-grams stand in the training text, in one document or several. Those that "
    )
    note += (
        "held enough of it were dropped or cut. Boilerplate are items whose n-grams many documents have: quotations, "
    )
    note += "licences, idioms. A document with a part of such an item stays; one with a whole text of it does not."
    return Table("Contamination", ["benchmark", *_COLUMNS.values()], rows, note)
