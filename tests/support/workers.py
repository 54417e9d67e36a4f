"""Actor classes for tests of pools."""

import os
import signal
import time
from pathlib import Path


class Doubler:
    """Doubles numbers; dies once, or always, at a number that it is told."""

    def __init__(self, deadly: int = -1, mark: str = "") -> None:
        self.deadly, self.mark = deadly, mark

    def double(self, number: int, plus: int = 0) -> int:
        """2 * number + plus."""
        if number == self.deadly and not (self.mark and Path(self.mark).exists()):
            if self.mark:
                Path(self.mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 2 * number + plus

    def pid(self, number: int) -> int:
        """The process that doubles this number, so that a test can tell actors apart."""
        self.double(number)
        time.sleep(0.05)
        return os.getpid()

    def fail(self, number: int) -> int:
        """Raise: a mistake of the method."""
        raise ZeroDivisionError(f"on purpose at {number}")


class Unborn:
    """A class whose constructor raises."""

    def __init__(self) -> None:
        raise OSError("no such weights")

    def double(self, number: int) -> int:
        """Never called."""
        return number


class Stillborn(Unborn):
    """A class whose process dies in its constructor."""

    def __init__(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
