"""Private facts to placeholders. Pure; a kind of facts is a module of ``private``, found by its name.

Only facts that may lead to a person count. Addresses that standards reserve (example.org, 127.0.0.1, 192.168.0.0/16,
2001:db8::/32) are nobody's, and stay. Each rule looks for a shape, then checks what the shape must keep: a checksum, a
prefix, a length, what stands before and after. docs/corpus-privacy.md has what each finds and what it leaves.

A placeholder is ``<KIND>``: one shape for all, no digit and no ``@`` (so that masking twice changes nothing), no mark
of Markdown, and nothing that prose writes. A tokeniser can take it as one token.
"""

import functools
import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from pipeline.corpus.cleaning.config import PRIVATE, PrivateKind

Span = tuple[int, int]

PLACEHOLDERS: dict[str, str] = {kind: f"<{kind.upper()}>" for kind in PRIVATE}

_NUMBER = re.compile(
    r"\d[^\n]{0,3}\d[^\n]{0,3}\d[^\n]{0,3}\d"
)  # each fact but an e-mail address has four digits, close together


def mask(text: str, kinds: Sequence[PrivateKind], taken: list[tuple[str, str]]) -> str:
    """The text with a placeholder for each fact of these kinds; (kind, fact) is added to ``taken``."""
    numbers = "::" in text or _NUMBER.search(text) is not None
    for kind in PRIVATE:  # a number that is a card is no phone: the stricter rules come first
        if kind not in kinds or not ("@" in text if kind == "email" else numbers):
            continue
        while spans := apart(_finder(kind)(text)):
            taken += [(kind, text[start:end]) for start, end in spans]
            edges = [0, *(edge for span in spans for edge in span), len(text)]
            text = PLACEHOLDERS[kind].join(text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))
    return text


def shape(fact: str) -> str:
    """A fact as evidence: which characters are letters, which are digits, and no more."""
    return re.sub(r"\d", "9", re.sub(r"[^\W\d_]", "x", fact))


@functools.cache
def _finder(kind: PrivateKind) -> Callable[[str], Iterator[Span]]:
    found: Callable[[str], Iterator[Span]] = importlib.import_module(f"pipeline.corpus.private.{kind}").spans
    return found


def apart(spans: Iterable[Span]) -> list[Span]:
    """Spans in order; of those that overlap, the first."""
    made: list[Span] = []
    for start, end in sorted(spans):
        if not made or start >= made[-1][1]:
            made.append((start, end))
    return made
