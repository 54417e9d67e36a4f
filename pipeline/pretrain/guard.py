"""The guard's policy: what a spike leads to, as an event, and the states that a rollback returns to."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from cluster.errors import FirstlightError
from models.guard import find_rise, find_spike
from models.step import StepFacts
from pipeline.pretrain.course import Course
from pipeline.pretrain.guard_config import KEPT_STATES, GuardConfig

OFF = GuardConfig(policy="off")


class Diverged(FirstlightError):
    """The guard met so many spikes within a window that the run has no sense."""


def judge(config: GuardConfig, course: Course, facts: StepFacts, left: int) -> dict[str, Any] | None:
    """The event of this step, or None where its update may be made. Raises Diverged once patience is at its end.

    {"cause", "z" (null: not finite), "action", "batches" passed over, "factor" on the rate}; the loop adds "to".
    ``left`` is the number of batches after this one. A rollback needs ``back`` of them behind those that it passes
    over, to learn anew what it takes back; nearer to the end the update is left out, and no more.
    """
    if config.policy == "off" or not facts.weight:
        return None
    ready = course.seen if len(course.seen) >= config.warmup else ()
    values = [(loss, norm) for _, loss, norm in ready]
    spike = find_spike(facts.loss, facts.grad_norm, values, loss_z=config.loss_z, norm_z=config.norm_z)
    if spike is None and config.policy != "skip":  # no single step is to blame, so leaving one out mends nothing
        spike = find_rise([loss for loss, _ in values], config.rise_z)
    near_end = config.rolls_back and left < config.batches + config.back
    if spike is None or (near_end and not config.lowers and spike.cause == "loss rises"):
        return None
    met = course.recent_events(config.window) + 1
    if met >= config.patience:
        raise Diverged(
            f"pretrain.guard.patience = {config.patience}: step {course.step} is spike {met} within {config.window}"
            f" steps ({spike.cause}, loss {facts.loss:.4g}, gradient norm {facts.grad_norm:.4g}, z {spike.z:.3g})."
            " Lower optim.peak_lr, or look at the data of these steps; pretrain.guard.policy rollback passes over more"
        )
    action = config.policy
    if near_end:
        action = "lower" if config.lowers else "skip"
    return {
        "cause": spike.cause,
        "z": round(spike.z, 2) if spike.cause != "gradient not finite" else None,
        "action": action,
        "batches": config.batches if action.startswith("rollback") else 0,
        "factor": config.factor if config.lowers else 1.0,
    }


class Ring:
    """The states of two steps, ``every`` apart, in memory: the older is ``every`` to 2 x ``every`` - 1 steps old.

    It is part of the run's state (``ring.<step>.<name>``), so that a newcomer and a resumed run can go back too.
    """

    def __init__(self, every: int) -> None:
        self.every, self._kept = every, dict[int, dict[str, Tensor]]()

    def offer(self, step: int, state: Callable[[], Mapping[str, Tensor]]) -> None:
        """Keep a copy of the state before this step, if its turn has come."""
        if step % self.every == 0 or not self._kept:
            self._kept[step] = {name: tensor.detach().clone() for name, tensor in state().items()}
            for old in sorted(self._kept)[:-KEPT_STATES]:
                del self._kept[old]

    def back(self) -> tuple[int, dict[str, Tensor]]:
        """The older state and its step. What came after it is forgotten: it led to the spike."""
        step = min(self._kept)
        self._kept = {step: self._kept[step]}
        return step, self._kept[step]

    def clear(self) -> None:
        """Forget all states: after a swap they are of another kind."""
        self._kept.clear()

    def tensors(self) -> dict[str, Tensor]:
        """All states by name."""
        return {f"ring.{step}.{name}": t for step, state in self._kept.items() for name, t in state.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` gave; names of other things are passed over."""
        self.clear()
        for key, tensor in tensors.items():
            top, _, rest = key.partition(".")
            if top == "ring":
                step, _, name = rest.partition(".")
                self._kept.setdefault(int(step), {})[name] = tensor.clone()
