import io
import sys

import pytest

from pipeline.corpus.signals import words


def test_the_tool_prints_what_a_list_holds(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("blorp Zanf\nblorp"))
    words.main()
    printed = capsys.readouterr().out.split()
    assert printed == sorted({words.hash_of("blorp"), words.hash_of("zanf")})
    listed = words.Hashed(printed)
    assert listed["zanf"]
    assert not listed["other"]


def test_the_memory_of_words_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words.Hashed, "ENTRIES", 10)
    listed = words.Hashed([words.hash_of("w7")])
    text = ". ".join(f"w{i}" for i in range(100))
    assert listed.share(text + " " + "x" * 1000) == pytest.approx(0.01)
    assert len(listed) <= 10
