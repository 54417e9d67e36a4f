"""The strings that Unigram begins from: those that are frequent in words, weighted by the words' 64-bit counts.

sentencepiece finds its own by writing each word as often as it was counted, with memory to match. As there, a string
is left out where each of its occurrences goes on with the same character (only the nodes of the suffix tree stay), and
the weight of a string is its count times its length.
"""

import numpy as np

from models.words import I64, Words

LONGEST = 16  # characters of a piece
_BITS = 21  # of a code point


def seeds(words: Words, most: int) -> list[tuple[str, int]]:
    """At most so many strings of 2 to 16 characters with their weights, the heaviest first.

    Strings grow by a character at a time, at all places at once: ``group`` names the string that begins at a place.
    A string that has one place only ends at the end of its word, so it need not be followed.
    """
    codes, lengths = words.codes()
    ends = np.repeat(np.cumsum(lengths), lengths)
    weight = np.repeat(words.counts, lengths)
    at = np.arange(len(codes))
    group = codes.astype(np.int64)
    found: list[I64] = []  # rows of place, length, count
    above = np.zeros((3, 0), np.int64)
    for length in range(2, LONGEST + 2):
        inside = at + length <= ends[at]
        at, parent = at[inside], group[inside]
        keys = parent << _BITS | codes[at + length - 1]
        order = np.argsort(keys, kind="stable")
        at, keys = at[order], keys[order]
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        if length > 2:  # what goes on as often as it occurs stays out
            goes_on = np.zeros(above.shape[1], np.int64)
            counts = np.add.reduceat(weight[at], starts) if len(starts) else starts
            np.maximum.at(goes_on, keys[starts] >> _BITS, counts)
            found.append(above[:, goes_on < above[2]])
        if length > LONGEST or not len(starts):
            break
        sizes = np.diff(starts, append=len(at))
        once = starts[sizes == 1]
        alone = np.stack([at[once], ends[at[once]] - at[once], weight[at[once]]])
        found.append(alone[:, alone[1] <= LONGEST])
        many = sizes > 1
        above = np.stack([at[starts], np.full(len(starts), length), np.add.reduceat(weight[at], starts)])[:, many]
        kept = np.repeat(many, sizes)
        group = np.repeat(np.arange(int(many.sum())), sizes[many])
        at = at[kept]
    return _heaviest(words, np.concatenate([*found, np.zeros((3, 0), np.int64)], axis=1), most)


def _heaviest(words: Words, found: I64, most: int) -> list[tuple[str, int]]:
    text = "".join(words.texts)
    place, length, count = found
    ranked = np.lexsort((length, place, -count * length))[:most]
    rows = zip(place[ranked].tolist(), length[ranked].tolist(), (count * length)[ranked].tolist(), strict=True)
    return [(text[start : start + size], weight) for start, size, weight in rows]
