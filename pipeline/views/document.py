"""The report as data, before it is drawn: the front page's facts, and a part for each stage. Knows no markup."""

from dataclasses import dataclass, field

from pipeline.sections import Section, Table

STATES = {
    "done": "done",
    "running": "running",
    "stopped": "stopped half-way",
    "failed": "failed",
    "absent": "not reached",
}


@dataclass(frozen=True)
class Failure:
    """What ended the run: the stage, why, the traceback where one was kept, what to do."""

    stage: str
    why: str
    trace: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Figure:
    """A headline figure with the stage that it came from."""

    name: str
    value: str
    stage: str


@dataclass(frozen=True)
class Row:
    """A stage on the timeline. `begin` and `share` are fractions of the whole run's working time."""

    stage: str
    state: str
    seconds: float | None = None
    begin: float = 0.0
    share: float = 0.0
    memory: int | None = None
    digest: str = ""
    said: str = ""


@dataclass(frozen=True)
class Part:
    """A stage's part of the report: its section, or why there is none."""

    stage: str
    state: str
    section: Section | None
    problem: str = ""


@dataclass(frozen=True)
class Group:
    """Tables of the front page under one heading."""

    title: str
    tables: list[Table]


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    state: str
    summary: str
    facts: list[tuple[str, str]]
    rows: list[Row]
    parts: list[Part]
    failure: Failure | None = None
    summaries: list[Section] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    environment: list[tuple[str, str]] = field(default_factory=list)
    config: str = ""


def anchor(stage: str) -> str:
    """The link target of a stage: evaluate@pretrain -> stage-evaluate-pretrain."""
    return "stage-" + "".join(c if c.isalnum() else "-" for c in stage)
