"""The batch of the next step, read in a thread while this step is computed. Knows no order and no task.

What is read ahead is what a caller would have read: the same function of its place, so neither order nor bits depend
on it. One thread does all reading, so that a reader needs no locks.
"""

import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
MOST = 4096  # batches that are held: where steps jump, some were read in vain, and the oldest are forgotten


class Loader(Generic[K, T]):
    """``read(place)``, one call ahead. ``waited`` are the seconds that callers stood still."""

    def __init__(self, read: Callable[[K], T]) -> None:
        self._read, self.waited = read, 0.0
        self._pool = ThreadPoolExecutor(1, "loader")
        self._ahead: dict[K, Future[T]] = {}

    def __call__(self, place: K, ahead: K | None = None) -> T:
        """The batch of a place; that of another is read behind it. Raises what ``read`` raises."""
        start = time.perf_counter()
        found = self._ahead.pop(place, None)
        batch = found.result() if found else self._pool.submit(self._read, place).result()
        self.waited += time.perf_counter() - start
        if ahead is not None and ahead not in self._ahead:
            self._ahead[ahead] = self._pool.submit(self._read, ahead)
            if len(self._ahead) > MOST:
                self._ahead.pop(next(iter(self._ahead)))
        return batch
