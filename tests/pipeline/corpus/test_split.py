"""The held-out split: by hash, stable when documents are added, the same however the documents are cut in pieces."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import rows
from pipeline.corpus.split import chosen, is_held_out, smallest

DOCUMENTS = [(rows.document_id("a", str(i).encode()), "a") for i in range(2_000)]
FEW = [(rows.document_id("b", str(i).encode()), "b") for i in range(12)]


def held(documents: list[tuple[str, str]], share: float, fewest: int, pieces: int = 1) -> set[str]:
    parts = [smallest(documents[k::pieces], fewest) for k in range(pieces)]
    anyway = chosen(parts, fewest)
    return {document for document, source in documents if is_held_out(document, source, share, anyway)}


def test_about_the_share_is_held_out() -> None:
    found = held(DOCUMENTS, 0.05, 5)
    assert 60 < len(found) < 140


def test_a_small_source_gives_the_fewest_but_no_more_than_a_fifth() -> None:
    assert len(held(FEW, 1e-9, 5)) == math.ceil(12 / 5)
    assert len(held(FEW, 1e-9, 2)) == 2
    assert len(held(FEW[:5], 1e-9, 5)) == 1


def test_a_source_of_too_few_documents_gives_none_whatever_their_hashes() -> None:
    assert not held(FEW[:4], 0.49, 5) and not held(FEW[:1], 0.49, 1)


def test_more_documents_move_no_decision_of_the_share() -> None:
    before = held(DOCUMENTS[:1_000], 0.05, 5)
    assert before <= held(DOCUMENTS, 0.05, 5)


@settings(max_examples=30, deadline=None)
@given(pieces=st.integers(1, 7), fewest=st.integers(1, 9), count=st.integers(1, 40))
def test_pieces_do_not_show(pieces: int, fewest: int, count: int) -> None:
    both = DOCUMENTS[:count] + FEW
    assert held(both, 0.01, fewest, pieces) == held(both, 0.01, fewest)
