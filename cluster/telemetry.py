"""What a run says while it works: events kept in the run directory, and progress on the terminal. Knows no stage.

Events go to numbered segments, each rewritten whole as it grows, since an object store has no append; a new driver
opens new segments, so nothing that an earlier one said is lost.
"""

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol, TextIO

from cluster.storage import LocalStorage

EVENTS_A_SEGMENT = 200
PLAIN_LINE_EVERY_S = 10.0
WINDOW = 6  # lines over which the remaining time is told


class Events:
    """The event log of one driver. ``epoch`` is its lease's, so two drivers never share a segment."""

    def __init__(self, storage: LocalStorage, epoch: int) -> None:
        self._storage, self._epoch = storage, epoch
        self._segment, self._lines = 0, list[str]()
        self._lock = threading.Lock()

    def add(self, kind: str, **facts: Any) -> None:
        """Keep one event, durable when this returns."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._lock:
            if len(self._lines) >= EVENTS_A_SEGMENT:
                self._segment, self._lines = self._segment + 1, []
            self._lines.append(json.dumps({"t": now, "kind": kind, **facts}, default=str))
            key = f"events/{self._epoch:06d}-{self._segment:05d}.jsonl"
            self._storage.put(key, ("\n".join(self._lines) + "\n").encode())


def read_events(storage: LocalStorage) -> Iterator[dict[str, Any]]:
    """All events of a run, of all its drivers, oldest first."""
    for key in storage.list("events"):
        for line in storage.get(key).splitlines():
            yield json.loads(line)


class Bar(Protocol):
    """The progress of one piece of work, counted in its own unit."""

    def advance(self, n: float = 1, **facts: Any) -> None:
        """Say that n more units are done; facts stand beside them on the line."""


class Terminal:
    """Progress for a person: a live bar with rate and remaining time, or plain lines where there is no terminal."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def say(self, text: str) -> None:
        """Print one plain line."""
        print(text, file=self.stream, flush=True)

    @contextmanager
    def progress(self, label: str, total: float, unit: str) -> Iterator[Bar]:
        """Show the progress of ``total`` units until the block ends."""
        if not self.stream.isatty():
            yield from self._plain(label, total, unit)
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description:<25}"),
            BarColumn(bar_width=12),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[facts]}"),
        )
        console = Console(file=self.stream)
        # What others write to sys.stdout goes to the log of the connection, not through this console.
        with Progress(*columns, console=console, redirect_stdout=False, redirect_stderr=False) as live:
            task = live.add_task(label, total=total, rate="", facts="")

            def show(line: "_Line") -> None:
                live.update(task, completed=line.done, rate=line.rate(), facts=line.said())

            line = _Line(label, total, unit, show)
            yield line
            show(line)

    def _plain(self, label: str, total: float, unit: str) -> Iterator[Bar]:
        line = _Line(label, total, unit, lambda b: self.say(b.text()), every_s=PLAIN_LINE_EVERY_S)
        yield line
        self.say(line.text(ended=True))


class _Line:
    """Counts, rate and facts of one bar; calls ``show`` not more often than ``every_s`` seconds."""

    def __init__(self, label: str, total: float, unit: str, show: Any, every_s: float = 0.1) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done, self.facts = 0.0, dict[str, Any]()
        self._show, self._every_s = show, every_s
        self._start = self._shown = time.monotonic()
        self._marks = deque([(self._start, 0.0)], maxlen=WINDOW)

    def advance(self, n: float = 1, **facts: Any) -> None:
        self.done += n
        self.facts.update(facts)
        now = time.monotonic()
        if now - self._shown >= self._every_s:
            self._shown = now
            self._marks.append((now, self.done))
            self._show(self)

    def rate(self) -> str:
        rate = self.done / max(time.monotonic() - self._start, 1e-9)
        return f"{rate:,.0f} {self.unit}/s" if rate >= 10 else f"{rate:.2g} {self.unit}/s"

    def said(self) -> str:
        return "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in self.facts.items())

    def text(self, ended: bool = False) -> str:
        seconds = time.monotonic() - self._start
        (first, before), (last, now) = self._marks[0], self._marks[-1]
        left = (last - first) / (now - before) * (self.total - self.done) if now > before else 0.0
        end = f"in {seconds:.1f} s" if ended else f"about {left:.0f} s left"
        done = f"{self.done:,.0f} of {self.total:,.0f} {self.unit}"
        return f"  {self.label}: {done}, {self.rate()}, {end}  {self.said()}".rstrip()
