"""The held-out split: by document hash, so it does not move when documents are added. Pure."""

import math
from collections import defaultdict
from collections.abc import Iterable

from pipeline import rows

_SALT = "heldout"


def held_out(documents: Iterable[tuple[str, str]], share: float, fewest: int) -> set[str]:
    """Ids of the held-out ones among (id, source).

    A document is held out when its hash falls below ``share``. A source that would have fewer than ``fewest`` gives
    those with the smallest hashes instead, but never more than a fifth of its documents.
    """
    by_source: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for document, source in documents:
        by_source[source].append((rows.fraction(document, _SALT), document))
    found: set[str] = set()
    for hashed in by_source.values():
        hashed.sort()
        least = min(fewest, math.ceil(len(hashed) / 5))
        found |= {document for i, (value, document) in enumerate(hashed) if value < share or i < least}
    return found
