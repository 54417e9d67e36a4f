"""Rules and signals by name, and a document's way through those that its source asks for. Knows none of them.

A family is a module of ``pipeline/corpus/rules`` or ``pipeline/corpus/signals``. Its ``make(config, learnt)``, called
once a task, gives the judge of one document. A trained family also has ``learn(config)``, called once on the driver,
which gives pieces by their full names (``learnt/NAME.bin``; ``learnt(name)`` reads one), and, where it reads the
user's files, ``outside(config)``: their paths.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import TypeAlias

from cluster.errors import ConfigError
from pipeline import rows
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.readers.config import Source
from pipeline.rows import Cut, Row

FOLDERS = ("pipeline.corpus.rules", "pipeline.corpus.signals")

Learnt: TypeAlias = Callable[[str], bytes]  # a learnt piece by its name
Signals: TypeAlias = dict[str, float | str]


@dataclass(frozen=True)
class Verdict:
    """What a family says of a document: its text after edits (None where it stays as it was), what was cut out of it,
    what was measured, and the rule that it breaks, as (reason, score)."""

    text: str | None = None
    cuts: tuple[Cut, ...] = ()
    signals: Signals = field(default_factory=dict)
    broken: tuple[str, float] | None = None


Family: TypeAlias = Callable[[Row, Source], Verdict]


def judge(row: Row, source: Source, families: Sequence[Family]) -> tuple[Row | None, Verdict]:
    """A document through the families in order, up to the first that it breaks.

    Gives the document after the edits, with the signals in ``meta["signals"]``, or None where a rule is broken, and
    one verdict that gathers all of them. Text that was edited away breaks the rule ``nothing_left``.
    """
    text = row["text"]
    cuts: list[Cut] = []
    signals: Signals = {}
    broken: tuple[str, float] | None = None
    for family in families:
        said = family(row, source)
        cuts += said.cuts
        signals |= said.signals
        if said.text is not None:
            row = Row(id=row["id"], source=row["source"], text=said.text, meta=row["meta"])
        broken = said.broken or (None if row["text"] else ("nothing_left", 0.0))
        if broken:
            break
    edited = row["text"] if row["text"] != text else None
    return (None if broken else _with(row, signals)), Verdict(edited, tuple(cuts), signals, broken)


def _with(row: Row, signals: Signals) -> Row:
    if not signals:
        return row
    facts = rows.facts_of(row["meta"])
    facts["signals"] = facts.get("signals", {}) | signals
    return Row(id=row["id"], source=row["source"], text=row["text"], meta=rows.pack_meta(**facts))


def load(config: CorpusConfig, source: Source, learnt: Learnt) -> tuple[Family, ...]:
    """The families of a source, in its order; ConfigError for a name that nobody has."""
    return tuple(find(name).make(config, learnt) for name in source.rules)


def learn(config: CorpusConfig) -> dict[str, bytes]:
    """What the trained families of all sources learn: piece -> its bytes."""
    pieces: dict[str, bytes] = {}
    for family in _asked(config):
        if hasattr(family, "learn"):
            pieces |= family.learn(config)
    return pieces


def outside(config: CorpusConfig) -> list[str]:
    """Paths of the user's files that the families read, sorted; what they hold belongs to the fingerprint."""
    return sorted({path for family in _asked(config) if hasattr(family, "outside") for path in family.outside(config)})


def _asked(config: CorpusConfig) -> list[ModuleType]:
    return [find(name) for name in sorted({name for source in config.sources for name in source.rules})]


def find(name: str) -> ModuleType:
    """The module of a family; ConfigError, which lists the known, where none has this name."""
    for folder in FOLDERS:
        if name.isidentifier() and importlib.util.find_spec(f"{folder}.{name}"):
            module = importlib.import_module(f"{folder}.{name}")
            if hasattr(module, "make"):
                return module
    remedy = f"Known: {', '.join(known())}"
    raise ConfigError("corpus.sources.rules", name, "no family of rules or signals has this name", remedy)


def known() -> list[str]:
    """Names of all families, in order; their neighbours, which make none, are left out."""
    paths = [f"{folder}." + one.name for folder in FOLDERS for one in pkgutil.iter_modules(_path(folder))]
    return sorted(path.rpartition(".")[2] for path in paths if hasattr(importlib.import_module(path), "make"))


def _path(folder: str) -> list[str]:
    return list(importlib.import_module(folder).__path__)
