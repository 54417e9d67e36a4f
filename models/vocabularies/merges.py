"""The merges behind a vocabulary that only ranks its tokens. Knows no file.

Where any two neighbours merge whose whole is a token, the lowest rank first and of equal ones the leftmost, a token
only ever arises from the two parts that its own letters come to: until it is whole, nothing around it has joined its
ends. So one merge for each token, in the order of the ranks, says the same.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

Text = TypeVar("Text", str, bytes)


def last_merge(letters: Sequence[Text], ranks: Mapping[Text, float]) -> tuple[Text, Text] | None:
    """The two parts that a token is made of; None where its letters never come to two."""
    parts = list(letters)
    while len(parts) > 2:
        found = [(ranks[left + right], i) for i, (left, right) in enumerate(pairwise(parts)) if left + right in ranks]
        if not found:
            return None
        _, i = min(found)
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    return (parts[0], parts[1]) if len(parts) == 2 else None
