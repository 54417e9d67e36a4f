"""Lists of words that are better not read: as salted hashes, and how a text is searched for them. Knows no list.

``echo WORD... | python -m pipeline.corpus.signals.words`` prints the lines that add words to such a list.
"""

import hashlib
import re
import sys
from collections.abc import Iterable

SALT = b"firstlight words"

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_SENTENCE_END = re.compile(r"[.!?。！？\n]+")


def hash_of(word: str) -> str:
    """16 hex digits of a word in lower case."""
    return hashlib.blake2b(word.lower().encode(errors="surrogatepass"), digest_size=8, salt=SALT).hexdigest()


class Hashed(dict[str, bool]):
    """Whether a word in lower case is of a list; a memory of the commonest answers, of bounded size."""

    ENTRIES, CHARACTERS = 1 << 17, 64

    def __init__(self, hashes: Iterable[str]) -> None:
        self._hashes = frozenset(hashes)

    def __missing__(self, word: str) -> bool:
        answer = hash_of(word) in self._hashes
        if len(word) <= self.CHARACTERS:
            if len(self) >= self.ENTRIES:
                self.clear()
            self[word] = answer
        return answer

    def share(self, text: str) -> float:
        """The share of a text's sentences that hold a word of the list; a sentence ends with a mark or a line."""
        lower = text.lower()
        listed = {word for word in set(_WORD.findall(lower)) if self[word]}
        if not listed:
            return 0.0
        sentences = [words for part in _SENTENCE_END.split(lower) if (words := _WORD.findall(part))]
        return sum(not listed.isdisjoint(words) for words in sentences) / len(sentences)


def main() -> None:
    """Hashes of the words on standard input, sorted, so that their order tells nothing."""
    print("\n".join(sorted({hash_of(word) for word in sys.stdin.read().split()})))


if __name__ == "__main__":
    main()
