"""Families by name, and a document's way through several."""

import pytest

from cluster.errors import ConfigError
from pipeline import rows
from pipeline.corpus import families
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.families import Family, Verdict
from pipeline.corpus.readers.config import Source
from pipeline.rows import Cut, Row

SOURCE = Source(name="s", kind="text", path=".")
ROW = Row(id="1", source="s", text="one two", meta="")
CUT = Cut(id="1", source="s", step="filter", reason="r", count=1, bytes=4, text="two")


def says(verdict: Verdict) -> Family:
    return lambda row, source: verdict


def never(row: Row, source: Source) -> Verdict:
    raise AssertionError("a family after the first broken one is not asked")


def test_edits_cuts_and_signals_gather() -> None:
    def second(row: Row, source: Source) -> Verdict:
        return Verdict(signals={"length": float(len(row["text"])), "a": 2.0})

    row, verdict = families.judge(ROW, SOURCE, [says(Verdict("one", (CUT,), {"a": 1.0})), second])
    assert row is not None and row["text"] == "one" and (row["id"], row["source"]) == ("1", "s")
    assert rows.facts_of(row["meta"]) == {"signals": {"a": 2.0, "length": 3.0}}
    assert verdict == Verdict("one", (CUT,), {"a": 2.0, "length": 3.0})


def test_signals_stand_beside_earlier_facts() -> None:
    known = Row(id="1", source="s", text="t", meta=rows.pack_meta(title="T", signals={"before": 1.0}))
    row, _ = families.judge(known, SOURCE, [says(Verdict(signals={"a": "b"}))])
    assert row is not None and rows.facts_of(row["meta"]) == {"title": "T", "signals": {"before": 1.0, "a": "b"}}


def test_the_first_broken_rule_ends_it() -> None:
    row, verdict = families.judge(ROW, SOURCE, [says(Verdict(broken=("bad", 0.5), signals={"a": 1.0})), never])
    assert row is None and verdict == Verdict(broken=("bad", 0.5), signals={"a": 1.0})


def test_text_that_was_edited_away_is_dropped() -> None:
    row, verdict = families.judge(ROW, SOURCE, [says(Verdict(text="")), never])
    assert row is None and verdict.broken == ("nothing_left", 0.0)


def test_without_a_finding_the_row_is_the_same() -> None:
    assert families.judge(ROW, SOURCE, [says(Verdict()), says(Verdict(text=ROW["text"]))]) == (ROW, Verdict())
    assert families.judge(ROW, SOURCE, []) == (ROW, Verdict())


def test_the_published_families_load_in_the_order_of_the_source() -> None:
    names = ("gopher_repetition", "c4", "gopher_quality", "fineweb", "basic")
    source = SOURCE.model_copy(update={"rules": names})
    judges = families.load(CorpusConfig(), source, lambda name: b"")
    reasons = [judge(Row(ROW, text="Too short {"), source).broken for judge in judges]
    assert [one and one[0] for one in reasons] == [
        None,
        "c4.curly_bracket > 0",
        "gopher_quality.min_words < 50",
        "fineweb.min_ended_lines <= 0.12",
        None,
    ]
    assert set(names) <= set(families.known()) and "seen" not in families.known()


@pytest.mark.parametrize("name", ["c5", "seen", "config", "no such", "..cluster"])
def test_an_unknown_family_is_an_error_that_lists_the_known(name: str) -> None:
    with pytest.raises(ConfigError, match=r"basic, .*c4, .*fineweb, .*gopher_quality"):
        families.find(name)


def test_what_families_learn_and_read_is_asked_of_those_of_the_sources() -> None:
    source = SOURCE.model_copy(update={"rules": ("basic", "c4")})
    asked = CorpusConfig.model_validate({"sources": [source], "rules": {"c4": {"bad_words": "/list"}}})
    assert families.outside(asked) == ["/list"]
    config = asked.model_copy(update={"sources": (SOURCE,)})
    assert families.outside(config) == [] and families.learn(config) == {}
