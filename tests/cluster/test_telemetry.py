"""Events survive their driver; progress says rate and remaining time."""

import io
from pathlib import Path

import pytest

from cluster import telemetry
from cluster.storage import LocalStorage
from cluster.telemetry import Events, Terminal, read_events


def test_events_of_two_drivers_are_read_in_order(tmp_path: Path) -> None:
    store = LocalStorage(tmp_path)
    Events(store, 1).add("run_start", recipe="tiny")
    second = Events(store, 2)
    second.add("run_start")
    second.add("stage_done", stage="corpus", seconds=1.5)
    kinds = [e["kind"] for e in read_events(store)]
    assert kinds == ["run_start", "run_start", "stage_done"]


def test_an_event_is_on_the_disk_when_add_returns_and_segments_roll(tmp_path: Path) -> None:
    store = LocalStorage(tmp_path)
    events = Events(store, 3)
    for i in range(telemetry.EVENTS_A_SEGMENT + 5):
        events.add("tick", i=i)
        if i in (0, telemetry.EVENTS_A_SEGMENT):
            assert [e["i"] for e in read_events(store)][-1] == i
    assert len(list(store.list("events"))) == 2
    assert [e["i"] for e in read_events(store)] == list(range(telemetry.EVENTS_A_SEGMENT + 5))


def test_plain_progress_ends_with_what_was_done() -> None:
    out = io.StringIO()
    with Terminal(out).progress("clean", 200, "documents") as bar:
        bar.advance(150)
        bar.advance(50, loss=2.34567)
    line = out.getvalue()
    assert line.startswith("  clean: 200 of 200 documents, ")
    assert "loss 2.346" in line
    assert line.count("\n") == 1


def test_plain_progress_speaks_seldom(monkeypatch: object) -> None:
    out = io.StringIO()
    with Terminal(out).progress("clean", 1000, "documents") as bar:
        for _ in range(1000):
            bar.advance()
    assert out.getvalue().count("\n") == 1


def test_a_bar_on_a_terminal_ends_full_and_lets_nothing_else_through(capsys: pytest.CaptureFixture[str]) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Screen()
    with Terminal(out).progress("clean", 3, "documents") as bar:
        print("noise of a library")
        bar.advance(3, loss=1.5)
    assert "100%" in out.getvalue()
    assert "loss 1.5" in out.getvalue()
    assert "noise" not in out.getvalue()
    assert "noise" in capsys.readouterr().out
