"""The reward that can be checked on the text: a complete reply. Knows no model.

The score is the share, in quarters, of four conditions: the reply ends by itself within the limit; it has at least
three words; it ended and its last character is one of ``. ! ?``; it has three words and says no three words twice.
"""

NAME = "complete reply"
LEAST_WORDS = 3
MARKS = ".!?"


def conditions(text: str, ended: bool) -> dict[str, bool]:
    """Each condition by name. The last two ask for an end, and for words, so that an empty reply earns one quarter."""
    words = text.split()
    trigrams = [tuple(w.lower() for w in words[i : i + 3]) for i in range(len(words) - 2)]
    spoken = len(words) >= LEAST_WORDS
    return {
        "ends by itself": ended,
        f"at least {LEAST_WORDS} words": spoken,
        f"last character in {MARKS}": ended and text.rstrip()[-1:] in tuple(MARKS),
        "no three words twice": spoken and len(set(trigrams)) == len(trigrams),
    }


def score(text: str, ended: bool) -> float:
    """Share of the conditions that hold, 0 to 1."""
    held = conditions(text, ended).values()
    return sum(held) / len(held)
