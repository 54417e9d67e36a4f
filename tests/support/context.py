"""A stage's context without a driver: events in a list, progress that counts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from pipeline.stage import StageContext, StageFolder

if TYPE_CHECKING:
    from pipeline.config import RunConfig


@dataclass
class Heard:
    """What a stage said."""

    events: list[dict[str, Any]] = field(default_factory=list)
    bars: dict[str, float] = field(default_factory=dict)

    def event(self, kind: str, **facts: Any) -> None:
        self.events.append({"kind": kind, **facts})

    @contextmanager
    def progress(self, label: str, total: float, unit: str) -> Iterator[Any]:
        heard = self
        self.bars[label] = 0.0

        class Bar:
            def advance(self, n: float = 1, **facts: Any) -> None:
                heard.bars[label] += n

        yield Bar()


def context(
    run: str, stage: str, config: "RunConfig | None" = None, inputs: tuple[str, ...] = (), fingerprint: str = "f"
) -> tuple[StageContext, Heard]:
    """A context for one stage of the run directory ``run``, and what it will have said."""
    heard = Heard()
    folders = {name: StageFolder.open(run, name) for name in inputs}
    folder = StageFolder.open(run, stage, fingerprint)
    return StageContext(stage, cast("RunConfig", config), folder, folders, heard.event, heard.progress), heard
