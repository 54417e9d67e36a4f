import signal
import threading
from collections.abc import Iterator

import pytest

from cluster import interrupts


def ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def _handler_is_put_back() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    assert signal.getsignal(signal.SIGINT) is before


def test_held_waits_for_the_end_of_the_block() -> None:
    done = list[str]()

    def block() -> None:
        with interrupts.held():
            ctrl_c()
            done.append("the block")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert done


def test_held_gives_way_to_a_second_ctrl_c() -> None:
    done = list[str]()

    def block() -> None:
        with interrupts.held():
            ctrl_c()
            ctrl_c()
            done.append("the block")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert not done


def test_held_is_a_ctrl_c_also_where_the_block_fails() -> None:
    def block() -> None:
        with interrupts.held():
            ctrl_c()
            raise ValueError("the block's own")

    with pytest.raises(KeyboardInterrupt) as caught:
        block()
    assert isinstance(caught.value.__context__, ValueError)


def test_held_without_a_signal_does_nothing() -> None:
    with interrupts.held():
        pass


def test_counted_remembers_what_was_swallowed() -> None:
    with interrupts.counted() as seen, interrupts.counted() as inner:
        with pytest.raises(KeyboardInterrupt):
            ctrl_c()
        with pytest.raises(KeyboardInterrupt), interrupts.held():
            ctrl_c()
    assert seen == inner == [signal.SIGINT] * 2


def test_ignored_lets_none_through() -> None:
    with interrupts.ignored():
        ctrl_c()
        ctrl_c()


def test_a_process_that_ignores_ctrl_c_goes_on_ignoring_it() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts.counted() as seen, interrupts.held(), interrupts.ignored():
            ctrl_c()
        assert not seen
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_changes_nothing() -> None:
    before, inside = signal.getsignal(signal.SIGINT), list[object]()

    def work() -> None:
        with interrupts.counted(), interrupts.held(), interrupts.ignored():
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [before]
