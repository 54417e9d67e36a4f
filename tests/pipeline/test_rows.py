"""Ids, pieces and fractions of documents."""

from pipeline import rows
from pipeline.rows import Turn


def test_an_id_is_of_source_and_record_only() -> None:
    assert rows.document_id("plays", b"To be") == rows.document_id("plays", b"To be")
    assert rows.document_id("plays", b"To be") != rows.document_id("chats", b"To be")
    running = rows.begin_id("plays", b"To ")
    running.update(b"be")
    assert running.hexdigest() == rows.document_id("plays", b"To be")


def test_pieces_follow_the_order_of_ids() -> None:
    ids = sorted(rows.document_id("s", str(i).encode()) for i in range(500))
    numbers = [rows.piece_of(i, 7) for i in ids]
    assert numbers == sorted(numbers) and set(numbers) == set(range(7))


def test_fractions_are_even_and_keyed() -> None:
    found = [rows.fraction(rows.document_id("s", str(i).encode()), "split") for i in range(4000)]
    assert all(0 <= f < 1 for f in found) and abs(sum(f < 0.02 for f in found) - 80) < 30
    assert rows.fraction("ab", "one") != rows.fraction("ab", "two")


def test_a_conversation_packs_and_renders() -> None:
    turns = [Turn(who=0, text="Hi"), Turn(who=1, text="Hello")]
    meta = rows.pack_meta(turns=turns, language="english")
    assert rows.turns_of(meta) == turns and rows.facts_of(meta)["language"] == "english"
    assert rows.turns_of("") == [] and rows.pack_meta() == ""
    assert rows.render(turns) == "A: Hi\nB: Hello"
