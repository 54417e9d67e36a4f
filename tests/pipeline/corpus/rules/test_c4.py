"""C4's rules: what each line rule cuts, what each rule of the page drops, and that nothing else is touched."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.errors import SourceError
from pipeline import rows
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.rules import c4
from pipeline.corpus.rules.config import C4Config
from pipeline.rows import Row, Turn

KEPT = "This is a sentence of some words. Here is another one! And is this a third?"


def row(text: str, turns: list[Turn] | None = None) -> Row:
    return Row(id="1", source="s", text=text, meta=rows.pack_meta(turns=turns) if turns else "")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("A heading without a mark at its end", "no_terminal_mark"),
        ("This line of words trails off...", "no_terminal_mark"),
        ("Only four words here.", "few_words"),
        ("One of these words is " + "x" * 1_001 + ".", "long_word"),
        ("Please turn on JavaScript in your browser.", "javascript"),
        ("By going on you accept our Privacy Policy.", "policy"),
    ],
)
def test_each_line_rule_cuts_its_line_and_says_so(line: str, reason: str) -> None:
    verdict = c4.judge(row(f"{KEPT}\n\n{line}\n\n{KEPT}"), C4Config())
    assert verdict.text == f"{KEPT}\n\n{KEPT}" and verdict.broken is None
    (cut,) = verdict.cuts
    assert (cut["reason"], cut["step"], cut["count"], cut["bytes"]) == (f"c4.{reason}", "filter", 1, len(line))
    assert cut["text"] == line[:200]


def test_citation_marks_are_taken_out_of_the_lines() -> None:
    verdict = c4.judge(row(f"{KEPT} So it was said.[12] It was so.[citation needed]"), C4Config())
    assert verdict.text == f"{KEPT} So it was said. It was so."
    assert [(cut["reason"], cut["count"], cut["bytes"]) for cut in verdict.cuts] == [("c4.citation", 2, 21)]


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        (f"{KEPT}\nLorem ipsum dolor sit amet", ("c4.lorem_ipsum > 0", 1.0)),
        (f"{KEPT}\nint main() {{ return 0; }}", ("c4.curly_bracket > 0", 1.0)),
        ("A page of only two sentences. That is too few.", ("c4.min_sentences < 3", 2.0)),
        ("no marks\nin any\nof its lines", ("c4.min_sentences < 3", 0.0)),
        ("", ("c4.min_sentences < 3", 0.0)),
    ],
)
def test_each_rule_of_the_page_names_itself(text: str, broken: tuple[str, float]) -> None:
    verdict = c4.judge(row(text), C4Config())
    assert verdict.broken == broken and verdict.text is None and verdict.cuts == ()


def test_the_scope_of_lines_forgives_what_is_cut() -> None:
    text = f"{KEPT}\nint main() {{ return 0; }}"
    assert c4.judge(row(text), C4Config(scope="lines")).text == KEPT


def test_rules_that_are_off_find_nothing() -> None:
    off = C4Config(
        terminal_mark=False, min_line_words=0, javascript=False, policy=False, citations=False, lorem_ipsum=False,
        curly_bracket=False, min_sentences=0,
    )  # fmt: skip
    text = "javascript [1]\n\n\n  { lorem ipsum }\nprivacy policy"
    assert c4.judge(row(text), off) == c4.Verdict()


def test_sentences_do_not_end_at_initials_and_titles() -> None:
    assert c4.sentences("He said no.") == 1
    assert c4.sentences('He said: "No." Then he left.') == 2
    assert c4.sentences("Mr. T. S. Eliot, e.g. in Fig. 3.14, met Dr. Who vs. him. They spoke.") == 2


def test_a_conversation_keeps_its_turns() -> None:
    turns = [Turn(who=0, text="hello"), Turn(who=1, text="hi there [1]"), Turn(who=0, text="bye")]
    verdict = c4.judge(row(rows.render(turns), turns), C4Config())
    assert verdict.text is None and verdict.broken is None


def asking(listed: Path) -> CorpusConfig:
    source = {"name": "s", "kind": "text", "path": "x", "rules": ["c4"]}
    return CorpusConfig.model_validate({"sources": [source], "rules": {"c4": {"bad_words": str(listed)}}})


def test_bad_words_come_from_the_users_list(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("Darn\nbig  heck\n\n")
    config = asking(listed)
    assert c4.outside(config) == [str(listed)] and c4.outside(CorpusConfig()) == []
    learnt = c4.learn(config)
    assert learnt == {c4.LEARNT: b"big heck\ndarn"} and c4.learn(CorpusConfig()) == {}
    judge = c4.make(config, learnt.__getitem__)
    source = config.sources[0]
    assert judge(row(f"{KEPT} DARN, big heck!"), source).broken == ("c4.bad_words > 0", 2.0)
    assert judge(row(f"{KEPT} It was darned, and big hecks."), source).broken is None
    missing = asking(tmp_path / "none")
    with pytest.raises(SourceError, match="bad_words"):
        c4.learn(missing)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [KEPT, "", " ", "cut me", "It names javascript, as it does. [3]", "Words, words, and more words!"]
        )
    )
)
def test_a_second_time_changes_nothing(lines: list[str]) -> None:
    config = C4Config(min_sentences=0)
    text = "\n".join(lines)
    verdict = c4.judge(row(text), config)
    once = text if verdict.text is None else verdict.text
    assert c4.judge(row(once), config) == c4.Verdict()
    assert set(once.split("\n")) <= {line.strip() for line in lines} | set(lines) | {""}


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_any_text_is_judged(text: str) -> None:
    verdict = c4.judge(row(text), C4Config())
    assert verdict.broken is not None or len(text) > len("A. B. C.")
