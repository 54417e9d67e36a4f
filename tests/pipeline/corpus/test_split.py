"""The held-out split does not depend on other documents."""

from pipeline import rows
from pipeline.corpus.split import held_out


def documents(source: str, count: int) -> list[tuple[str, str]]:
    return [(rows.document_id(source, str(i).encode()), source) for i in range(count)]


def test_the_share_is_met_and_order_does_not_matter() -> None:
    found = documents("plays", 3000)
    held = held_out(found, 0.02, 4)
    assert 35 < len(held) < 90
    assert held_out(reversed(found), 0.02, 4) == held
    assert held_out(found[:1500], 0.02, 4) == held & {document for document, _ in found[:1500]}


def test_a_small_source_gives_a_few_but_never_much() -> None:
    assert len(held_out(documents("docs", 40), 0.001, 5)) == 5
    assert len(held_out(documents("docs", 5), 0.001, 5)) == 1
    assert len(held_out(documents("docs", 1) + documents("plays", 40), 0.001, 5)) == 6
