"""Runs the journey: one driver, stage after stage, each made only where its fingerprint is not there yet."""

import importlib
import json
import os
import time
import tomllib
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import tomli_w

from cluster.errors import FirstlightError, Interrupted, RunDirError, StageFailed
from cluster.interrupts import counted, held
from cluster.lease import Lease
from cluster.memory import MemoryMeter
from cluster.storage import LocalStorage, open_storage
from cluster.telemetry import Events, Terminal
from pipeline import ready
from pipeline.config import RunConfig, build
from pipeline.environment import machine, versions
from pipeline.lineage import Stage, clean, commit
from pipeline.stage import StageContext, StageFolder, folder_of
from pipeline.stages import JOURNEY, summaries, views

OURS = ("lease/", "events/", "logs/", "plan.json", "report.")  # may stand before run.toml does


@dataclass(frozen=True)
class Made:
    """One stage of a finished run: whether this driver made it, its digest and its seconds."""

    stage: str
    fresh: bool
    digest: str
    seconds: float


@dataclass
class Driver:
    """One driver's hold on a run directory: lease, events, terminal, and a Ray connection once a stage needs it."""

    config: RunConfig
    storage: LocalStorage
    terminal: Terminal
    stack: ExitStack
    lease: Lease = field(init=False)
    events: Events = field(init=False)
    meter: MemoryMeter = field(init=False)
    connected: bool = False

    def open(self) -> None:
        """Take the lease, keep the config and the plan. Raises RunDirError."""
        _same_recipe(self.storage, self.config)
        self.lease = Lease(self.storage)
        self.stack.callback(self.lease.release)
        self.events = Events(self.storage, self.lease.epoch)
        self.meter = MemoryMeter()
        self.stack.callback(self.meter.stop)
        self._settle()
        self.storage.put("run.toml", tomli_w.dumps(self.config.model_dump(mode="json", exclude_none=True)).encode())
        self.events.add("run_start", recipe=self.config.recipe, **machine())

    def _settle(self) -> None:
        """Put the number that a probe finds in the place of `auto`, once: run.toml keeps it. Raises ConfigError."""
        if self.config.pretrain.micro_batch == "auto":
            self.terminal.say("  trying how many windows fit into memory ...")
            before = read_config(self.storage) if self.storage.exists("run.toml") else None
            fit = importlib.import_module("pipeline.pretrain.options.fit")
            self.config = fit.settle(self.config, before)

    def connect(self) -> None:
        """Connect to Ray, once, when the first stage has work to do."""
        if self.connected:
            return
        from cluster.connect import connect

        self.terminal.say("  starting Ray ...")
        connection = self.stack.enter_context(connect(self.config.cluster, str(self.storage.path("logs"))))
        if connection.hosts > 1 and not os.environ.get("FIRSTLIGHT_SHARED_FOLDER"):
            raise RunDirError(
                "--out",
                str(self.storage),
                f"a local folder, but the cluster has {connection.hosts} hosts",
                "Give a folder that every host mounts, and set FIRSTLIGHT_SHARED_FOLDER=1 to say so",
            )
        before = self.terminal.stream
        self.terminal.stream = connection.out
        self.stack.callback(lambda: setattr(self.terminal, "stream", before))
        self.connected = True

    def make(self, stage: Stage, fingerprint: str, outside: str) -> str:
        """Run one stage and commit it; its digest. Raises FirstlightError."""
        folder = StageFolder.open(str(self.storage), stage.name, fingerprint)
        self.lease.check()
        _clear_other(folder)
        self.connect()
        self.meter.lap()
        self.events.add("stage_start", stage=stage.name, fingerprint=fingerprint)
        self.terminal.say(f"{stage.name}")
        start = time.monotonic()
        context = StageContext(
            name=stage.name,
            config=self.config,
            folder=folder,
            inputs={name: StageFolder.open(str(self.storage), name) for name in stage.inputs},
            event=lambda kind, **facts: self.events.add(kind, stage=stage.name, **facts),
            progress=self.terminal.progress,
        )
        with _failure(stage.name, self.events):
            stage.work()(context)
            self.lease.check()
            observed: dict[str, Any] = {
                "seconds": round(time.monotonic() - start, 3),
                "peak_memory_bytes": self.meter.lap(),
                "versions": versions(),
            }
            digest = commit(stage, context, observed, outside)
        self.events.add("stage_done", stage=stage.name, digest=digest, **observed)
        return digest


def run_journey(config: RunConfig, out: str, terminal: Terminal, until: str | None = None) -> list[Made]:
    """Bring a run directory to the end of the journey, or to stage ``until``; what stands is not made again.

    Raises FirstlightError; a KeyboardInterrupt becomes Interrupted once what stands is safe. The report is written in
    any case.
    """
    storage = open_storage(out)
    made: list[Made] = []
    with ExitStack() as stack:
        interrupts = stack.enter_context(counted())
        with held():  # an import of torch that is cut can neither go on nor begin anew
            importlib.import_module("torch")
        ready.check(config, until, made=StageFolder.open(str(storage), "pretrain").manifest() is not None)
        driver = Driver(config, storage, terminal, stack)
        driver.open()
        stack.callback(_report, str(storage), driver.events)
        try:
            _keep_plan(driver)
            for step in _journey(driver, until):
                made.append(step)
                if interrupts:  # a library swallowed it
                    raise KeyboardInterrupt
        except BaseException:
            if not interrupts:  # after a Ctrl-C whatever a library makes of it is that Ctrl-C
                raise
            driver.events.add("interrupted")
            raise Interrupted("stopped by Ctrl-C. What was made is kept: the same command goes on from there") from None
        driver.events.add("run_done", stages=len(made))
    return made


def _journey(driver: Driver, until: str | None) -> Iterator[Made]:
    digests: dict[str, str] = {}
    for stage in JOURNEY:
        outside = stage.read_outside(driver.config)
        fingerprint = stage.fingerprint(driver.config, digests, outside)
        manifest = StageFolder.open(str(driver.storage), stage.name).manifest()
        if manifest and manifest["fingerprint"] == fingerprint:
            clean(StageFolder.open(str(driver.storage), stage.name))
            digests[stage.name] = manifest["digest"]
            yield Made(stage.name, False, manifest["digest"], manifest["observed"]["seconds"])
        else:
            start = time.monotonic()
            digests[stage.name] = driver.make(stage, fingerprint, outside)
            yield Made(stage.name, True, digests[stage.name], time.monotonic() - start)
        if stage.name == until:
            return


@contextmanager
def _failure(stage: str, events: Events) -> Iterator[None]:
    """Keep what went wrong as an event, and give any exception the stage's name."""
    try:
        yield
    except KeyboardInterrupt:
        events.add("stage_failed", stage=stage, why="stopped by Ctrl-C", trace="")
        raise
    except FirstlightError as error:
        events.add("stage_failed", stage=stage, why=str(error), trace="")
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        events.add("stage_failed", stage=stage, why=why, trace=traceback.format_exc())
        raise StageFailed(stage, why) from error


def _clear_other(folder: StageFolder) -> None:
    """Take away what another fingerprint left in the folder; pieces of this one stay."""
    storage, top = folder.storage, folder_of(folder.stage)
    storage.delete(f"{top}/manifest.json")
    other = StageFolder.open(folder.run, folder.stage)
    for piece in other.pieces():
        if not folder.done(piece):
            storage.delete(f"{top}/.pieces/{piece}.json")
            storage.delete(f"{top}/{piece}")


def _same_recipe(storage: LocalStorage, config: RunConfig) -> None:
    if not storage.exists("run.toml"):
        others = any(not key.startswith(OURS) for key in storage.list())
        if others and not storage.exists("run.toml"):  # asked again, as another driver may have begun meanwhile
            remedy = "Give a new folder, or an empty one"
            raise RunDirError("--out", str(storage), "there are files, but no run of ours", remedy)
        if not others:
            return
    before = tomllib.loads(storage.get("run.toml").decode())["recipe"]
    if before != config.recipe:
        remedy = f"Give another --out, or run the recipe {before}"
        raise RunDirError("--out", str(storage), f"it holds a run of the recipe {before!r}", remedy)


def read_config(storage: LocalStorage) -> RunConfig:
    """The resolved config of a run directory."""
    return build(tomllib.loads(storage.get("run.toml").decode()))


def _keep_plan(driver: Driver) -> None:
    """Predict the run before its first stage; the report shows it beside what was measured.

    A config that has changed is predicted anew, at the rate that was measured; what stands keeps its prediction.
    """
    view = importlib.import_module("pipeline.views.plan")
    kept = json.loads(driver.storage.get("plan.json")) if driver.storage.exists("plan.json") else {}
    if kept.get("config") == view.config_digest(driver.config):
        return
    threads = driver.config.pretrain.threads
    rate = kept["rate_flops"] if kept.get("threads") == threads else view.measure_rate(threads)
    plan = view.make_plan(driver.config, rate)
    if "config" in kept:
        stands = _standing(driver)
        plan = view.standing(plan, kept, stands)
        what = "the plan was made anew, as the config has changed"
        driver.events.add("plan_renewed", what=what, kept_for=", ".join(stands) or "no stage")
    elif kept:
        what = "the plan was made anew, as the one before does not say of which config it was"
        driver.events.add("plan_renewed", what=what)
    driver.storage.put("plan.json", json.dumps(plan.to_json(), indent=1).encode())


def _standing(driver: Driver) -> list[str]:
    """Stages that the config leaves as they are, if what they read outside of the run is as it was."""
    digests: dict[str, str] = {}
    for stage in JOURNEY:
        found = StageFolder.open(str(driver.storage), stage.name).manifest()
        if not found or not digests.keys() >= {*stage.inputs}:
            continue
        if found["fingerprint"] == stage.fingerprint(driver.config, digests, found.get("outside", "")):
            digests[stage.name] = found["digest"]
    return [*digests]


def _report(run: str, events: Events) -> None:
    """Write the report; a report that cannot be drawn must not fail a run that stands."""
    try:
        importlib.import_module("pipeline.views.report").write_report(run, views(), summaries())
    except Exception as error:
        events.add("report_failed", why=str(error), trace=traceback.format_exc())
