"""Keys of texts: what is like what, and what may meet."""

import numpy as np
import pytest

from pipeline.corpus import tables
from pipeline.corpus.near import keys
from pipeline.corpus.near.config import DedupConfig
from pipeline.rows import Row
from tests.pipeline.corpus.near.stage import row

CONFIG = DedupConfig()


def sets_of(*texts: str) -> list[set[int]]:
    table = tables.documents([row(text) for text in texts])
    return [set(grams.of(i).tolist()) for grams, _ in keys.signed(table, CONFIG) for i in range(len(grams.ends))]


def keys_of(*rows: Row, scope: str = "corpus") -> np.ndarray:
    return keys.all_keys(tables.documents(rows), CONFIG.model_copy(update={"scope": scope}))[0]


@pytest.mark.parametrize(("first", "letters"), [(0x4E00, 5000), (0x3042, 80), (0x30A2, 80), (0x0E01, 46)])
def test_a_text_without_blanks_with_a_few_other_characters_is_like_it(first: int, letters: int) -> None:
    """Chinese, hiragana, katakana, Thai."""
    text = "".join(chr(first + i * i * 37 % letters) + ("，" if i % 9 == 8 else "") for i in range(400))
    other = text[:100] + chr(first) + text[101:300] + chr(first) + text[301:]
    a, b = sets_of(text, other)
    assert len(a) > 30 and 0.6 < len(a & b) / len(a | b) < 1


def test_case_and_punctuation_make_no_difference() -> None:
    a, b = keys_of(row("One, two: three. Four - five six"), row("one two three\nfour five SIX!"))
    assert (a == b).all()


def test_only_documents_of_one_source_meet_where_the_scope_says_so() -> None:
    rows = row("some words that are the same", "a"), row("some words that are the same", "b")
    a, b = keys_of(*rows)
    assert (a == b).all()
    a, b = keys_of(*rows, scope="source")
    assert not set(a.tolist()) & set(b.tolist())
    assert (keys_of(rows[0], scope="source")[0] == a).all()


def test_slices_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(" ".join(f"w{i * k}" for i in range(50))) for k in range(1, 30)] + [row(""), row("...")]
    whole, has = keys.all_keys(tables.documents(rows), CONFIG)
    monkeypatch.setattr(keys, "SLICE_BYTES", 700)
    again, still = keys.all_keys(tables.documents(rows), CONFIG)
    assert (whole == again).all() and has.tolist() == still.tolist() == list(range(29))


def test_the_scheme_names_all_that_changes_a_key() -> None:
    ours = keys.scheme(CONFIG)
    for change in ({"words": 4}, {"bands": 13}, {"rows": 8}, {"scope": "source"}):
        assert keys.scheme(CONFIG.model_copy(update=change)) != ours
    assert keys.scheme(CONFIG.model_copy(update={"threshold": 0.5, "rounds": 3})) == ours
