"""Words of the training text, counted over the cluster: by piece of the corpus, then by part of the words. No Ray.

A task counts the words of one piece and writes them in parts by hash; another adds one part up; the most frequent
words of all parts, with 64-bit counts, are the table that every kind of tokeniser is trained on. A task holds the words
of some documents, or of one part, or ``max_words`` of them, so no memory grows with the corpus as the parts do.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from models.words import Counting, Words
from pipeline.corpus import shuffle
from pipeline.rows import fraction
from pipeline.stage import StageFolder

WORDS = pa.schema([("word", pa.string()), ("count", pa.int64())])
FACTS = "counts.json"
HELD_CHUNKS = 1_000_000  # distinct chunks of text that a counting task holds, about 150 MB
HELD_ROWS = 8_000_000  # rows that a reducing task holds before it adds them up
PIECE_ROWS = 1_000_000
BATCH_DOCUMENTS = 256
_SALT = "tokenizer"


def count(folder: StageFolder, corpus: StageFolder, piece: str, number: int, sample: float, parts: int) -> int:
    """Count one piece of documents, or the share of them whose hash is below ``sample``; returns its documents."""
    counting, files, seen = Counting(), list[str](), {"documents": 0, "bytes": 0}
    table = corpus.read_table(piece).select(["id", "text"])
    for batch in table.to_batches(BATCH_DOCUMENTS):
        ids, texts = batch["id"].to_pylist(), batch["text"].to_pylist()
        texts = [text for document, text in zip(ids, texts, strict=True) if fraction(document, _SALT) < sample]
        counting.add(texts)
        seen["documents"] += len(texts)
        seen["bytes"] += sum(len(text.encode()) for text in texts)
        if len(counting) > HELD_CHUNKS:
            files.append(_write(folder, counting, number, len(files), parts))
    files.append(_write(folder, counting, number, len(files), parts))
    folder.write_json(counted(number, parts), {**seen, "too_long": counting.too_long, "files": files})
    return len(table)


def counted(number: int, parts: int) -> str:
    """The piece that stands when a piece of the corpus has been counted, in so many parts."""
    return f"work/words-{parts}/{number:05d}.json"


def _write(folder: StageFolder, counting: Counting, number: int, file: int, parts: int) -> str:
    found = counting.take()
    hashes = np.fromiter((xxhash.xxh3_64_intdigest(word.encode()) for word in found), np.uint64, len(found))
    part = shuffle.part_of(hashes, parts)
    table = pa.table({"word": list(found), "count": list(found.values())}, schema=WORDS)
    order = np.argsort(part, kind="stable")
    ends = np.cumsum(np.bincount(part, minlength=parts)).tolist()
    table = table.take(order)
    name = f"work/words-{parts}/{number:05d}-{file:03d}.bin"
    begins = [0, *ends[:-1]]
    shuffle.write(folder, name, [_pack(table.slice(b, e - b)) for b, e in zip(begins, ends, strict=True)])
    return name


def add_up(folder: StageFolder, part: int, parts: int, pieces: int, most: int) -> int:
    """Add up one part of the words of all pieces and keep the ``most`` frequent; returns how many there were."""
    held, rows = [WORDS.empty_table()], 0
    for number in range(pieces):
        for file in folder.read_json(counted(number, parts))["files"]:
            held.append(_unpack(shuffle.take(folder, file, part)))
            rows += len(held[-1])
            if rows > HELD_ROWS:
                held = [_sum(held)]
                rows = len(held[0])
    table = _sum(held)
    facts = {"words": len(table), "occurrences": pc.sum(table["count"]).as_py() or 0}
    folder.write_table(_part(part, parts), _top(table, most))
    folder.write_json(added(part, parts), facts)
    return len(table)


def added(part: int, parts: int) -> str:
    """The piece that stands when a part has been added up."""
    return f"work/parts-{parts}/{part:05d}.json"


def _part(part: int, parts: int) -> str:
    return f"work/parts-{parts}/{part:05d}.parquet"


def gather(folder: StageFolder, pieces: int, parts: int, most: int) -> Words:
    """The ``most`` frequent words of all parts, written to ``counts/`` with what fell off: the words to train on.

    The most frequent come first, of equal counts the first in bytes, so neither parts nor tasks show in the result.
    """
    table = WORDS.empty_table()
    facts = {"words": 0, "occurrences": 0}
    for part in range(parts):
        for name, value in folder.read_json(added(part, parts)).items():
            facts[name] += value
        table = _top(pa.concat_tables([table, folder.read_table(_part(part, parts))]), most)
    for i in range(-(-len(table) // PIECE_ROWS)):
        folder.write_table(f"counts/{i:05d}.parquet", table.slice(i * PIECE_ROWS, PIECE_ROWS))
    seen = [folder.read_json(counted(number, parts)) for number in range(pieces)]
    facts |= {name: sum(one[name] for one in seen) for name in ("documents", "bytes", "too_long")}
    kept = pc.sum(table["count"]).as_py() or 0
    facts |= {"kept_words": len(table), "kept_occurrences": kept}
    folder.write_json(FACTS, facts)
    return _words(table)


def load(folder: StageFolder) -> Words:
    """The words that the stage counted."""
    return _words(pa.concat_tables([WORDS.empty_table(), *map(folder.read_table, folder.pieces("counts/"))]))


def _words(table: pa.Table) -> Words:
    return Words(table["word"].to_pylist(), table["count"].to_numpy())


def _sum(tables: list[pa.Table]) -> pa.Table:
    table = pa.concat_tables(tables).group_by("word").aggregate([("count", "sum")])
    return table.rename_columns({"count_sum": "count"}).select(WORDS.names)


def _top(table: pa.Table, most: int) -> pa.Table:
    """Sorted by count, then bytes; Arrow orders strings by their bytes."""
    return table.sort_by([("count", "descending"), ("word", "ascending")]).slice(0, most)


def _pack(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, WORDS, options=pa.ipc.IpcWriteOptions(compression="zstd")) as out:
        out.write_table(table.combine_chunks())
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _unpack(data: bytes) -> pa.Table:
    return pa.ipc.open_stream(data).read_all()
