"""A run directory made by hand: manifests, pieces, events and a plan, without running a stage."""

import json
import math
from pathlib import Path
from typing import Any, cast

from pipeline.config import RunConfig
from pipeline.lineage import Stage, commit
from pipeline.sections import Cell, Chart, Example, Examples, Note, Section, StageView, Table
from pipeline.stage import StageContext, StageFolder

STAGES = (
    Stage("corpus", "corpus", 1, (), ()),
    Stage("tokens", "tokens", 1, ("corpus",), ()),
    Stage("pretrain", "pretrain", 1, ("tokens",), ()),
    Stage("evaluate@pretrain", "evaluate", 1, ("pretrain", "tokens"), ()),
)
SECONDS = {"corpus": 41.5, "tokens": 18.2, "pretrain": 151.0, "evaluate@pretrain": 36.4}
NO_CONFIG = cast(RunConfig, None)  # these stages read no section of it


class FakeRun:
    """Writes what the driver writes, one call a fact."""

    def __init__(self, folder: Path) -> None:
        self.root = str(folder)
        self._second = 0.0
        self._events = list[str]()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run.toml").write_text('recipe = "tiny"\nseed = 1\n\n[pretrain]\ntokens = 1_300_000\n')
        self.event("run_start", machine={"cpus": 2, "memory_bytes": 24 * 2**30}, python="3.11.9")
        plan = {
            "parameters": 3_412_480,
            "flops": {"pretrain": 2.4e13, "evaluate@pretrain": 9.1e11},
            "seconds": SECONDS,
            "memory_bytes": 2_900_000_000,
            "tokens": {"pretrain": 1_300_000},
            "rate_flops": 2.2e11,
        }
        (folder / "plan.json").write_text(json.dumps(plan))

    def event(self, kind: str, after: float = 0.0, **facts: Any) -> None:
        """Add an event `after` seconds later than the last one."""
        self._second += after
        minute, second = divmod(self._second, 60)
        t = f"2026-03-01T10:{int(minute):02d}:{second:06.3f}+00:00"
        self._events.append(json.dumps({"t": t, "kind": kind, **facts}))
        path = Path(self.root, "events", "000001-00000.jsonl")
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(self._events) + "\n")

    def stage(self, stage: Stage, pieces: dict[str, object], **counts: Any) -> str:
        """Make a stage from beginning to end and return its digest."""
        self.event("stage_start", stage=stage.name)
        inputs = {name: self._digest(name) for name in stage.inputs}
        folder = StageFolder.open(self.root, stage.name, stage.fingerprint(NO_CONFIG, inputs))
        for piece, value in pieces.items():
            folder.write_json(piece, value)
        observed = {"seconds": SECONDS[stage.name], "peak_memory_bytes": 1_900_000_000, "versions": {"torch": "2.13.0"}}
        digest = commit(stage, _context(stage, folder, counts), observed)
        self.event("stage_done", after=SECONDS[stage.name], stage=stage.name, digest=digest)
        return digest

    def fail(self, stage: Stage, why: str, trace: str = "") -> None:
        """Begin a stage, commit one piece, and fail."""
        self.event("stage_start", stage=stage.name)
        StageFolder.open(self.root, stage.name, "0" * 64).write_json("metrics/part.json", [1, 2])
        self.event("stage_failed", after=12.0, stage=stage.name, why=why, trace=trace)

    def _digest(self, name: str) -> str:
        manifest = StageFolder.open(self.root, name).manifest()
        assert manifest is not None
        return str(manifest["digest"])


def whole(folder: Path) -> FakeRun:
    """A run of four stages that went to its end, with one fault."""
    run = half(folder)
    run.event("fault", after=1.0, stage="pretrain", what="replica 1 was lost", paused_s=1.3)
    weights = {"tensors": [{"name": "embedding", "shape": [4096, 192]}, {"name": "rest", "shape": [2_626_048]}]}
    run.stage(STAGES[2], {"metrics/steps.json": [4.1, 3.2], "model/manifest.json": weights}, flops=2.38e13)
    run.stage(STAGES[3], {"results.json": {"bits": 2.1}}, flops=9.0e11)
    run.event("run_done", after=1.0)
    return run


def half(folder: Path) -> FakeRun:
    """A run whose first two stages are done."""
    run = FakeRun(folder)
    run.stage(STAGES[0], {"funnel.json": {"plays": 12}, "kept/00000.json": ["To be"]}, documents=12)
    run.stage(STAGES[1], {"index.json": {"tokens": 900}})
    return run


def failed(folder: Path) -> FakeRun:
    """A run that failed in its third stage."""
    run = half(folder)
    run.fail(STAGES[2], "no room left on the disk for checkpoints/000040.json (13,649,920 bytes)", "Traceback: ...")
    return run


def views() -> list[StageView]:
    """A view for each stage, with every kind of block among them."""
    shown = {
        "corpus": _corpus,
        "tokens": _tokens,
        "pretrain": _pretrain,
        "evaluate@pretrain": _evaluate,
    }
    return [StageView(s.name, s.name.replace("@", "/"), shown[s.name], s.inputs) for s in STAGES]


def _context(stage: Stage, folder: StageFolder, counts: dict[str, Any]) -> StageContext:
    nothing = cast(Any, None)
    return StageContext(stage.name, NO_CONFIG, folder, {}, nothing, nothing, counts)


def _corpus(folder: StageFolder, inputs: dict[str, StageFolder]) -> Section | None:
    if not folder.done("funnel.json"):
        return None
    steps = ["read", "clean", "filter", "exact_dup", "near_dup", "decontaminate"]
    kept = {"plays": 1_204, "chats": 10_907, "code": 9_310, "docs": 4_118, "questions": 21_800}
    losses = range(len(steps))
    rows: list[list[Cell]] = [[name, *(round(n * (1 - 0.06 * i)) for i in losses)] for name, n in kept.items()]
    near = Example(
        "chats/2c1f9e07a3b4 dropped at near_dup",
        {"reason": "near duplicate", "score": "0.91", "survivor": "chats/91ab77c00d1e"},
        "Hello there! How are you today?\nI am fine, thank you. I like to walk in the rain <b>& read</b>.\n" * 12,
        "Hello there! How are you today?\nI am fine, thanks. I like to walk in the rain and read.\n" * 12,
    )
    short = Example("docs/07", {"reason": "min_words", "score": "2"}, "See also \u0007 here")
    funnel = Chart(
        "Kept and dropped documents by source",
        {
            "kept": [(i, 0.7 * n) for i, n in enumerate(kept.values())],
            "dropped": [(i, 0.3 * n) for i, n in enumerate(kept.values())],
        },
        "source",
        "documents",
        kind="bar",
        labels=list(kept),
    )
    lengths = Chart(
        "Length of documents",
        {"documents": [(i, 4000 * math.exp(-(((i - 14) / 6) ** 2))) for i in range(32)]},
        "bytes",
        "documents",
        kind="bar",
        labels=[f"{2 ** (i / 2):.0f}" for i in range(32)],
    )
    return Section(
        "corpus",
        "Text, cleaned and counted",
        "47,339 documents of five sources went in; 33,512 were kept, and each of the others has its reason.",
        [
            Table("Funnel of documents", ["source", *steps], rows, "Counts after each step."),
            funnel,
            lengths,
            Examples("Some of what was dropped", [near, short]),
        ],
        [("documents kept", "33,512"), ("sources", "5")],
    )


def _tokens(folder: StageFolder, inputs: dict[str, StageFolder]) -> Section | None:
    shares = {"plays": (0.2, 0.201), "chats": (0.3, 0.299), "code": (0.2, 0.2), "docs": (0.3, 0.3)}
    rows: list[list[Cell]] = [[name, asked, got] for name, (asked, got) in shares.items()]
    return Section(
        "tokens",
        "Tokens and their mixture",
        "A byte-level vocabulary of 4,096.",
        [Table("Asked and got", ["source", "asked share", "got share"], rows), Note("Samples come in a fixed order.")],
        [("vocabulary", "4,096")],
    )


def _pretrain(folder: StageFolder, inputs: dict[str, StageFolder]) -> Section | None:
    if not folder.pieces():
        return None
    steps = range(1, 1200)
    loss = [(float(i * 2048), 2.4 + 6 / i**0.45 + 0.05 * math.sin(i * 1.7)) for i in steps]
    lr = [(float(i * 2048), 4e-3 * min(1.0, i / 60, (1200 - i) / 600)) for i in steps]
    held = {
        name: [(float(k * 200_000), 2.0 + shift + 3.5 / (k + 0.6)) for k in range(1, 13)]
        for name, shift in {"plays": 0.3, "chats": 0.0, "code": 0.25, "docs": 0.05, "questions": 0.1}.items()
    }
    return Section(
        "pretrain",
        "The language model",
        "3.4 M parameters saw 2.5 M tokens.",
        [
            Chart("Training loss", {"loss": loss}, "tokens", "nats a token"),
            Chart("Learning rate", {"rate": lr}, "tokens", "1/step"),
            Chart("Held-out bits per byte", held, "tokens", "bits per byte", log_x=True),
            Chart(
                "Trials",
                {
                    "first rung": [(2e-3 * 2**k, 4 + 0.2 * (k - 1) ** 2) for k in range(4)],
                    "second rung": [(4e-3, 3.6), (8e-3, 3.7)],
                },
                "peak learning rate",
                "held-out loss",
                kind="scatter",
                log_x=True,
            ),
        ],
        [("parameters", "3.41 M"), ("held-out bits per byte", "2.08")],
    )


def _evaluate(folder: StageFolder, inputs: dict[str, StageFolder]) -> Section | None:
    if not folder.done("results.json"):
        return None
    raise ValueError("an old shape of results.json")
