"""Tasks on Ray Data: only what is missing, numbers added up, errors of ours and Ctrl-C as they are."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cluster.data import Task, pack, run_tasks, unpack
from cluster.errors import CorruptPiece, FirstlightError, SourceError
from cluster.storage import DiskFull


@dataclass
class Bar:
    """Counts; ``on_row`` is called once a row has come back."""

    done: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    on_row: Callable[[], None] = lambda: None

    def advance(self, n: float = 1, **facts: Any) -> None:
        self.done += n
        self.facts = facts
        if facts:
            self.on_row()


def mark(folder: str, name: str) -> dict[str, float]:
    if name == "bad":
        raise SourceError("corpus.sources.a.path", "x", "is not there", "Mend it")
    Path(folder, name).touch(exist_ok=False)
    return {"documents": len(name)}


def tasks(folder: Path, *names: str) -> list[Task]:
    return [Task(name, {"folder": str(folder), "name": name}, 2.0) for name in names]


@pytest.mark.ray
def test_what_stands_is_not_made_again(ray_session: Path, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    bar = Bar()
    wanted = tasks(tmp_path, "a", "bb", "ccc")
    run_tasks(mark, wanted, lambda name: (tmp_path / name).exists(), 0.5, bar)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "bb", "ccc"]
    assert bar.done == 6.0 and bar.facts == {"documents": 5}
    run_tasks(mark, wanted, lambda name: (tmp_path / name).exists(), 0.5, bar)
    assert bar.done == 12.0


@pytest.mark.ray
def test_an_error_of_ours_arrives_as_it_was_raised(ray_session: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"corpus\.sources\.a\.path") as caught:
        run_tasks(mark, tasks(tmp_path, "bad"), lambda name: False, 0.5, Bar())
    assert type(caught.value) is SourceError


def interrupt_lost() -> None:
    """A Ctrl-C that a library turns into its own error."""
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        raise RuntimeError("the executor was stopped") from None


def interrupt_swallowed() -> None:
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        return


@pytest.mark.ray
@pytest.mark.parametrize("how", [interrupt_lost, interrupt_swallowed])
def test_ctrl_c_stays_ctrl_c(ray_session: Path, tmp_path: Path, how: Callable[[], None]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run_tasks(mark, tasks(tmp_path, "a", "b"), lambda name: False, 0.5, Bar(on_row=how))
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_comes_back_from_text_as_itself() -> None:
    for error in (
        SourceError("corpus.sources.a.path", "x", "is not there", "Mend it"),
        CorruptPiece("p", "a" * 64, "b" * 64, "Go"),
    ):
        again = unpack(pack(error))
        assert type(again) is type(error) and str(again) == str(error) and vars(again) == vars(error)


def test_an_error_of_another_module_keeps_its_words() -> None:
    again = unpack(pack(DiskFull("no room left")))
    assert type(again) is FirstlightError and str(again) == "no room left"
