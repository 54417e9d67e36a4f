"""Counted words: those of the text, whatever the pieces, parts, files and order; and what falls off is counted."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from models.words import cutter
from pipeline.corpus import shuffle
from pipeline.rows import Row
from pipeline.stage import StageFolder
from pipeline.tokens import counts
from pipeline.tokens.config import TokensConfig
from tests.pipeline.tokens.tiny import documents, make, write_corpus


def expected(made: list[Row]) -> Counter[str]:
    return Counter(word for row in made for word, _ in cutter().pre_tokenize_str(row["text"]))


def ranked(found: Counter[str]) -> list[tuple[str, int]]:
    return sorted(found.items(), key=lambda item: (-item[1], item[0].encode()))


def test_words_are_those_of_the_text(tmp_path: Path) -> None:
    made = documents()
    folder = make(tmp_path, write_corpus(tmp_path, 3, made), TokensConfig(count_parts=4))
    words = counts.load(folder)
    assert list(zip(words.texts, words.counts.tolist(), strict=True)) == ranked(expected(made))
    facts = folder.read_json(counts.FACTS)
    assert facts["words"] == facts["kept_words"] == len(expected(made))
    assert facts["occurrences"] == facts["kept_occurrences"] == expected(made).total()
    assert facts["documents"] == 60 and facts["bytes"] == sum(len(row["text"].encode()) for row in made)


def said(folder: StageFolder) -> dict[str, str]:
    """The pieces of the result and what they say."""
    records = {piece: folder.record(piece) for piece in folder.pieces() if not piece.startswith("work/")}
    return {piece: record["sha256"] for piece, record in records.items() if record}


def test_pieces_parts_and_files_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, digests = documents(), []
    cases = [(1, 1, 10**6, 10**6), (3, 5, 10**6, 10**6), (4, 2, 1, 10**6), (2, 3, 100, 10)]
    for i, (pieces, parts, held_chunks, held_rows) in enumerate(cases):
        monkeypatch.setattr(counts, "HELD_CHUNKS", held_chunks)
        monkeypatch.setattr(counts, "HELD_ROWS", held_rows)
        monkeypatch.setattr(counts, "BATCH_DOCUMENTS", 3)
        corpus = write_corpus(tmp_path / str(i), pieces, made[::-1] if i % 2 else made)
        config = TokensConfig(count_parts=parts, max_words=150, vocab_size=400)
        digests.append(said(make(tmp_path / str(i), corpus, config)))
    assert set(digests[0]) == {"counts/00000.parquet", "counts.json", "tokenizer.json"}
    assert digests == digests[:1] * len(cases)


def test_the_most_frequent_words_stay_and_the_others_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "PIECE_ROWS", 30)
    made = documents()
    folder = make(tmp_path, write_corpus(tmp_path, 2, made), TokensConfig(count_parts=3, max_words=100))
    words, whole = counts.load(folder), ranked(expected(made))
    assert list(zip(words.texts, words.counts.tolist(), strict=True)) == whole[:100]
    assert len(folder.pieces("counts/")) == 4
    facts = folder.read_json(counts.FACTS)
    assert facts["words"] - facts["kept_words"] == len(whole) - 100
    assert facts["occurrences"] - facts["kept_occurrences"] == sum(count for _, count in whole[100:]) > 0


def test_a_sample_is_chosen_by_document(tmp_path: Path) -> None:
    made = documents()
    seen = []
    for pieces in (1, 3):
        run = tmp_path / str(pieces)
        folder = make(run, write_corpus(run, pieces, made), TokensConfig(count_parts=2, sample=0.5))
        seen.append((folder.read_json(counts.FACTS), counts.load(folder).texts))
    assert seen[0] == seen[1]
    assert 15 < seen[0][0]["documents"] < 45


def test_counts_are_added_up_in_64_bits(tmp_path: Path) -> None:
    folder = StageFolder.open(str(tmp_path), "tokens", "f")
    table = pa.table({"word": ["the", "a"], "count": [2**40, 3]}, schema=counts.WORDS)
    for number in range(2):
        shuffle.write(folder, f"work/{number}.bin", [counts._pack(table)])
        folder.write_json(
            counts.counted(number, 1), {"files": [f"work/{number}.bin"], "documents": 1, "bytes": 1, "too_long": 0}
        )
    assert counts.add_up(folder, 0, 1, 2, 10) == 2
    words = counts.gather(folder, 2, 1, 10)
    assert words.texts == ["the", "a"] and words.counts.tolist() == [2**41, 6]
    assert folder.read_json(counts.FACTS)["occurrences"] == 2**41 + 6


def test_no_text_has_no_words(tmp_path: Path) -> None:
    folder = make(tmp_path, write_corpus(tmp_path, 1, []), TokensConfig(count_parts=2))
    assert len(counts.load(folder).texts) == 0
    assert folder.read_json(counts.FACTS)["words"] == 0
