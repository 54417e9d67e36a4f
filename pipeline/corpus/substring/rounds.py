"""Rounds of questions: has another piece these windows before this one? Each piece asks, each part of the keys answers.

Level 0 asks about segments of some L / 4 windows, by one record each. A segment whose hood an earlier one has goes
whole; one whose core nobody else has stays whole; only the others, which lie at the ends of repeated text, are split
and asked about again. What travels is linear in the text however often it is repeated: a piece asks about each hood
once, 0.6 bytes for each of text on level 0, and on the others by what is repeated.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.corpus import documents, shuffle
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.shingles import U64
from pipeline.corpus.substring import first, windows
from pipeline.corpus.substring.ranges import Ranges
from pipeline.corpus.substring.windows import SEGMENT, Segments, Text
from pipeline.stage import StageFolder


def asked(level: int, n: int) -> str:
    return f"work/substring/asked-{level}/{n:05d}.bin"


def answered(level: int, part: int) -> str:
    return f"work/substring/answered-{level}/{part:05d}.bin"


def segments(level: int, n: int) -> str:
    return f"work/substring/segments-{level}/{n:05d}.bin"


def ids(table: pa.Table) -> U64:
    """Document ids as numbers, [n, 2]."""
    return np.frombuffer(bytes.fromhex("".join(table["id"].to_pylist())), np.uint64).reshape(-1, 2)


def ask(folder: StageFolder, config: CorpusConfig, name: str, n: int, level: int) -> int:
    """The questions of piece n on a level; returns its documents."""
    count, questions = _ask(folder, config, n, level)  # text and segments are let go before the questions are sorted
    part = shuffle.part_of(questions["key"], config.pieces)
    shuffle.write(folder, name, shuffle.scatter(questions, part, config.pieces))
    return count


def _ask(folder: StageFolder, config: CorpusConfig, n: int, level: int) -> tuple[int, NDArray[np.void]]:
    loaded = documents.load(folder, config, n, before="substring")
    text, length = Text.of(loaded.table["text"]), config.substring.length
    if level:
        coarse = answers(folder, config, n, level - 1)
        found, hoods = finer(text, coarse.segments[coarse.open], length, level)
    else:
        found, hoods = coarsest(text, length)
    found["twin"] = first.first_of(hoods)
    folder.write_bytes(segments(level, n), found.tobytes(), rows=len(found))
    lone = found["twin"] == np.arange(len(found))
    questions = np.empty(int(lone.sum()), first.QUESTION)
    questions["key"], questions["hood"] = found["key"][lone], hoods[lone]
    questions["document"] = ids(loaded.table)[text.document(found["start"][lone])]
    return len(loaded.table), questions


def coarsest(text: Text, length: int) -> tuple[Segments, U64]:
    """The segments of level 0, and the hashes of their hoods."""
    made = [(np.zeros(0, SEGMENT), np.zeros((0, 2), np.uint64))]
    for begin in range(0, len(text.data) - length + 1, windows.STARTS):
        found = windows.segments(text, length, begin)
        made.append(windows.fold(found, windows.sign(text, found, length, windows.blocks(length)[0])))
    return np.concatenate([found for found, _ in made]), np.concatenate([hoods for _, hoods in made])


def finer(text: Text, coarse: Segments, length: int, level: int) -> tuple[Segments, U64]:
    """The segments of a level within those of the one before, and the hashes of their hoods."""
    block = windows.blocks(length)[level]
    found = windows.split(coarse, block)
    return found, windows.sign(text, found, length, block)


def answer(folder: StageFolder, config: CorpusConfig, name: str, part: int, level: int) -> int:
    """Answer the questions of one part of the keys: a fate each, then the documents where the repeated ones are first.

    Pieces are read in their order, and each asks in the order of its text, so the first record is the first in the
    corpus.
    """
    data = (shuffle.take(folder, asked(level, n), part) for n in range(config.pieces))
    taken = [np.frombuffer(asking, first.QUESTION) for asking in data]
    questions = np.concatenate(taken)
    fate, earliest = first.decide(questions)
    made, end = [], 0
    for asking in taken:
        mine = slice(end, end := end + len(asking))
        later = earliest[mine][fate[mine] == first.LATER]
        made.append(fate[mine].tobytes() + questions["document"][later].tobytes())
    shuffle.write(folder, name, made)
    return 0


@dataclass(frozen=True)
class Answers:
    """What became of a piece's segments: those that repeat an earlier one, whose it is [n, 2], those to be split."""

    segments: Segments
    later: NDArray[np.bool_]
    partner: U64  # 0 where nothing but this piece speaks of it
    open: NDArray[np.bool_]

    def ranges(self, text: Text, documents: U64, length: int) -> Ranges:
        """The bytes that go, and whose they repeat; ``documents`` are the ids of the piece's own."""
        found, first_of = self.segments, self.segments["twin"]
        gone = self.later | (found["rest"] > 0)
        skip = np.where(self.later, 0, found["count"])  # the first windows of a period stay
        start = found["start"] + skip
        end = found["start"] + found["count"] + found["rest"] + (length - 1)
        own = documents[text.document(found["start"][first_of])] if len(found) else self.partner
        elsewhere = self.partner.any(axis=1, keepdims=True)
        return Ranges(start, end, np.where(elsewhere, self.partner, own)).take(gone)


def answers(folder: StageFolder, config: CorpusConfig, n: int, level: int) -> Answers:
    """The answers to the questions of piece n."""
    found = np.frombuffer(folder.read_bytes(segments(level, n)), SEGMENT)
    lone = np.flatnonzero(found["twin"] == np.arange(len(found)))
    part = shuffle.part_of(found["key"][lone], config.pieces)
    counts = np.bincount(part, minlength=config.pieces).tolist()
    fates, partners = [], []
    for asked_of, count in enumerate(counts):
        data = shuffle.take(folder, answered(level, asked_of), n)
        fates.append(np.frombuffer(data, np.uint8, count))
        partners.append(np.frombuffer(data, np.uint64, offset=count).reshape(-1, 2))
    asking = lone[np.argsort(part, kind="stable")]
    fate = np.full(len(found), first.ALONE, np.uint8)
    fate[asking] = np.concatenate(fates)
    partner = np.zeros((len(found), 2), np.uint64)
    partner[asking[fate[asking] == first.LATER]] = np.concatenate(partners)
    twin = found["twin"]
    later = (fate[twin] == first.LATER) | (twin != np.arange(len(found)))
    return Answers(found, later, partner[twin], fate == first.OPEN)
