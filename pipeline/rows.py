"""The row types of a corpus: a document, a dropped document, and their names. Knows no source, no rule and no file.

A document is ``id, source, text, meta``. Its id is a hash of its source's name and its raw record, so neither a path
nor an order can change it, and everything random about a document is derived from that id.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, TypedDict, final

STEPS = ("read", "clean", "filter", "exact_dup", "near_dup", "split", "substring", "decontaminate")
"""The steps in order. ``split`` moves documents to the held-out set, after ``near_dup``, so that none has a near copy;
each of the others may drop some. From ``exact_dup`` on they see the canonical documents
(pipeline/corpus/documents.py)."""

DROPPED_TEXT_CHARACTERS = 2_000
CUT_TEXT_CHARACTERS = 200


class Turn(TypedDict):
    """What one speaker says at a time; ``who`` is 0 for the first to speak."""

    who: int
    text: str


@final
class Row(TypedDict):
    """One document."""

    id: str
    source: str
    text: str
    meta: str


class DropKeys(TypedDict):
    """What the two final dicts of dropped things say alike: Drop, and Aside of the corpus stage."""

    id: str
    source: str
    step: str
    reason: str
    score: float
    partner: str
    cluster: str
    text: str


@final
class Drop(DropKeys):
    """Why a document is not in the training text: the step, its reason and score, and the document that it repeats."""


@final
class Cut(TypedDict):
    """What was taken out of a document that stayed, or put in another's place: how often, how much, and the first."""

    id: str
    source: str
    step: str
    reason: str
    count: int
    bytes: int
    text: str


def document_id(source: str, record: bytes) -> str:
    """128 bits of blake2b over the source's name and the raw record, in hex."""
    return begin_id(source, record).hexdigest()


def begin_id(source: str, record: bytes = b"") -> "hashlib.blake2b":
    """The running hash of an id, for a record that is too long to hold."""
    return hashlib.blake2b(source.encode() + b"\0" + record, digest_size=16)


def fraction(document: str, salt: str) -> float:
    """A number in [0, 1) that depends on the document's id and on what it is for, and on nothing else."""
    digest = hashlib.blake2b(f"{salt}\0{document}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / 2**53


def piece_of(document: str, pieces: int) -> int:
    """The number of the piece, of so many, that a document belongs to; ids sort in the order of their pieces."""
    return int(document[:12], 16) * pieces >> 48


def piece(prefix: str, number: int) -> str:
    """``kept``, 3 -> ``kept/00003.parquet``."""
    return f"{prefix}/{number:05d}.parquet"


def facts_of(meta: str) -> dict[str, Any]:
    """The facts beside a text."""
    facts: dict[str, Any] = json.loads(meta) if meta else {}
    return facts


def turns_of(meta: str) -> list[Turn]:
    """The turns of a conversation; none where the document is not one."""
    turns: list[Turn] = facts_of(meta).get("turns", [])
    return turns


def quality_of(meta: str) -> float:
    """The trained classifier's score of a document, or what its record said of its quality; 0 where neither did."""
    if '"quality"' not in meta:
        return 0.0
    facts = facts_of(meta)
    found = facts.get("signals", {}).get("quality", facts.get("quality", 0.0))
    return float(found) if isinstance(found, int | float) else 0.0


def pack_meta(**facts: Any) -> str:
    """Facts beside the text, as JSON with sorted keys; an empty string where there are none."""
    return json.dumps(facts, sort_keys=True, ensure_ascii=False) if facts else ""


def render(turns: Sequence[Turn]) -> str:
    """A conversation as text: each turn begins with its speaker's letter."""
    return "\n".join(f"{chr(ord('A') + turn['who'] % 26)}: {turn['text']}" for turn in turns)
