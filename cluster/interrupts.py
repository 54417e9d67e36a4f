"""What a Ctrl-C may cut: anything, but for the blocks below. Knows no stage and no library.

Python raises KeyboardInterrupt between any two instructions of the main thread. In most places that is right; inside
native code that is half-made, or inside a clean-up, it is not. Blocks in other threads, and in a process that was
started with Ctrl-C ignored (``nohup``, a shell's background), are left as they are.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]


@contextmanager
def counted() -> Iterator[list[int]]:
    """Raise as ever, and remember: a list of the signals seen in the block, for where a library swallows one."""
    seen: list[int] = []

    def handler(before: Handler, number: int, frame: FrameType | None) -> None:
        seen.append(number)
        before(number, frame)

    with _handled(handler):
        yield seen


@contextmanager
def held() -> Iterator[None]:
    """Let the first Ctrl-C wait for the end of the block, where native code that it cuts would crash the process.

    A second one does not wait: the block may hang.
    """
    seen: list[int] = []

    def handler(before: Handler, number: int, frame: FrameType | None) -> None:
        seen.append(number)
        if len(seen) > 1:
            before(number, frame)

    try:
        with _handled(handler):
            yield
    finally:
        if len(seen) == 1:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def ignored() -> Iterator[None]:
    """Let no Ctrl-C cut a clean-up short; it takes one to two seconds."""
    with _handled(lambda before, number, frame: None):
        yield


@contextmanager
def _handled(handler: Callable[[Handler, int, FrameType | None], None]) -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    inner: Handler = before
    signal.signal(signal.SIGINT, lambda number, frame: handler(inner, number, frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
