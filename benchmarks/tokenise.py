"""Text to token pieces, one thread: reading, encoding, provenance and writing, beside the library's bare encoding.

BENCH_TEXT is a folder of real text, of which BENCH_MB megabytes are taken (32 if unset). Times are CPU seconds of the
process; each round begins with an empty cache of words on both sides.
"""

import os

os.environ["RAYON_NUM_THREADS"] = "1"

import statistics
import tempfile
import time

import pyarrow as pa

from benchmarks.claim import record
from benchmarks.real_text import chosen
from models.tokenizer import Tokenizer
from pipeline import rows
from pipeline.corpus import tables
from pipeline.stage import StageFolder
from pipeline.tokens.encode import encode
from pipeline.tokens.pieces import TOKENIZER

ROUNDS, VOCABULARY, TRAIN_MB = 5, 16_384, 8


def main() -> None:
    """Median over interleaved rounds of bare time / our time; bare takes the ids out as lists, as any user would."""
    with tempfile.TemporaryDirectory() as run:
        value, facts = measure(run, float(os.environ.get("BENCH_MB", "32")))
    what = "text to token pieces, with reading, writing and provenance, per core / bare encode_batch_fast"
    record("tokenise", what, "", value, "at least 0.9", value >= 0.9, runs=[facts])


def measure(run: str, megabytes: float) -> tuple[float, dict[str, object]]:
    """The ratio, and what was measured."""
    texts = list(dict.fromkeys(path.read_text(errors="replace") for path in chosen(round(megabytes * 1e6))))
    size = sum(len(text.encode()) for text in texts) / 1e6
    tokenizer = Tokenizer.train(texts[:: max(1, round(size / TRAIN_MB))], VOCABULARY)
    corpus, folder = StageFolder.open(run, "corpus", "f"), StageFolder.open(run, "tokens", "f")
    folder.write_bytes(TOKENIZER, tokenizer.to_json().encode())
    made = [rows.Row(id=rows.document_id("b", t.encode()), source=f"s{len(t) % 3}", text=t, meta="") for t in texts]
    table: pa.Table = tables.by_id(tables.documents(made))
    corpus.write_table(rows.piece("kept", 0), table)
    texts = table["text"].to_pylist()
    times: dict[str, list[float]] = {"bare": [], "pieces": []}
    for _ in range(ROUNDS):
        backend = Tokenizer.load(tokenizer.to_json())._backend
        start = time.process_time()
        for at in range(0, len(texts), 1000):
            _ = [
                encoding.ids for encoding in backend.encode_batch_fast(texts[at : at + 1000], add_special_tokens=False)
            ]
        times["bare"].append(time.process_time() - start)
        start = time.process_time()
        encode(folder, corpus, "train", rows.piece("kept", 0), "work/index/train-00000.json")
        times["pieces"].append(time.process_time() - start)
    ratios = [b / p for b, p in zip(times["bare"], times["pieces"], strict=True)]
    rate = size / statistics.median(times["pieces"])
    facts = {"ratios": ratios, "mb": round(size, 1), "documents": len(texts), "mb_s": round(rate, 2)}
    return round(statistics.median(ratios), 3), facts


if __name__ == "__main__":
    main()
