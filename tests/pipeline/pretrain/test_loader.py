"""Reading ahead changes neither order nor content, and saves the wait."""

import threading

import pytest

from pipeline.pretrain.loader import Loader


def test_batches_come_in_the_order_that_is_asked_whatever_was_read_ahead() -> None:
    loader = Loader[tuple[int, int], str](lambda place: f"batch {place}")
    for step in (0, 1, 2, 2, 7, 8, 3):  # redone, jumped over, gone back
        for g in range(3):
            assert loader((step, g), (step + 1, g)) == f"batch {(step, g)}"


def test_the_next_step_is_read_while_this_one_is_computed() -> None:
    read: list[int] = []
    done = threading.Event()

    def reader(place: int) -> int:
        read.append(place)
        if place == 1:
            done.set()
        return place

    loader = Loader(reader)
    loader(0, 1)
    assert done.wait(5)  # nobody asked for it yet
    before = loader.waited
    assert loader(1) == 1
    assert read == [0, 1]
    assert loader.waited - before < 0.5


def test_a_broken_piece_is_told_where_it_is_asked_for() -> None:
    def reader(place: int) -> int:
        if place == 1:
            raise ValueError("broken")
        return place

    loader = Loader(reader)
    assert loader(0, 1) == 0
    with pytest.raises(ValueError, match="broken"):
        loader(1, 2)


def test_what_was_read_in_vain_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.pretrain.loader.MOST", 5)
    loader = Loader[int, int](lambda place: place)
    for place in range(0, 100, 10):
        loader(place, place + 1)
    assert len(loader._ahead) == 5
