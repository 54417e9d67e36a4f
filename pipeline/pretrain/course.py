"""Where a run stands, folded from its history: position in the data, rate, what the guard saw, swaps. Knows no torch.

A step counts attempts and only rises. A position counts batches: it moves by one a step, and by more where a rollback
passes over some. Data, batch and learning rate are functions of the position. History is in every checkpoint and goes
to every newcomer, so whatever follows from it needs no state of its own and is replayed exactly.

A line of history: {"step", "loss", "grad_norm", "lr", "tokens"}, and where they are not the usual ones "position",
"probe", "skipped" (why no update was made), "guard" (an event, see guard.py), "swaps" (made after this step, swap.py).
"""

from collections import deque
from collections.abc import Iterable
from typing import Any

Line = dict[str, Any]


class Course:
    """What the lines so far mean for the next step. ``window`` is the guard's."""

    def __init__(self, window: int) -> None:
        self.step = self.position = 0
        self.factor = 1.0  # the guard's, on the learning rate
        self.seen: deque[tuple[int, float, float]] = deque(maxlen=window)  # applied steps: step, loss, gradient norm
        self.events: list[Line] = []  # guard events and swaps, flat, oldest first
        self.swaps: list[Line] = []
        self._warm_from, self._warm_steps = 0, 0

    @classmethod
    def of(cls, history: Iterable[Line], window: int) -> "Course":
        """The course that a whole history makes."""
        course = cls(window)
        for line in history:
            course.see(line)
        return course

    def see(self, line: Line) -> None:
        """Go one step on."""
        event = line.get("guard")
        self.step = line["step"] + 1
        position = line["position"] if "position" in line else line["step"]
        self.position = position + 1 + (event["batches"] if event else 0)
        if event:
            self.events.append({"kind": "guard", "step": line["step"], **event})
            self.factor *= event["factor"]
            anew = event["action"] == "lower" or event["cause"] == "loss rises"
            first = 0 if anew else event.get("to", self.step)  # what is not comparable with what comes
            while self.seen and self.seen[-1][0] >= first:
                self.seen.pop()
        elif "skipped" not in line:
            self.seen.append((line["step"], line["loss"], line["grad_norm"]))
        for swap in line.get("swaps", ()):
            self.swap(swap)

    def swap(self, swap: Line) -> None:
        """Take note of a swap before the next step."""
        self.swaps.append(swap)
        self.events.append({"kind": "swap", "step": self.step, **swap})
        if swap["anew"]:
            self.seen.clear()
        if "optim.peak_lr" in swap["set"]:
            self.factor = 1.0  # whoever names a rate means it
        if swap["warmup"]:
            self._warm_from, self._warm_steps = self.step, swap["warmup"]

    def rate(self) -> float:
        """Factor on the schedule's learning rate: lowered by the guard, rising after a swap of the optimiser."""
        done = self.step - self._warm_from + 1
        return self.factor * (done / self._warm_steps if done < self._warm_steps else 1.0)

    def recent_events(self, within: int) -> int:
        """Events of the guard in the last ``within`` steps."""
        steps = (e["step"] for e in reversed(self.events) if e["kind"] == "guard")
        return sum(1 for step in steps if step > self.step - within)


def guard_events(history: Iterable[Line]) -> list[Line]:
    """What the guard did: {"step", "cause", "z", "action", "to", "batches", "factor"} of each event."""
    return [{"step": line["step"], **line["guard"]} for line in history if "guard" in line]
