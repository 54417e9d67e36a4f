"""RLHF on Ray: one learner, several rollout actors, one reference, one judge.

A version of the policy is one immutable object that the driver owns; actors pull it, and no collective joins them, so
none can hang on a death. A lost chunk is done again with the same result. A learner that died is restored from the
newest checkpoint and repeats the updates since, which the driver remembers.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cluster.actors import Pool, broadcast, together
from pipeline.rlhf import loop, summary
from pipeline.rlhf.learner import BehindError, Learner
from pipeline.rlhf.prompts import collect, from_json, to_json
from pipeline.rlhf.rollout import Judge, Reference, Rollout
from pipeline.rlhf.types import Chunk, Experience, Setup
from pipeline.stage import StageContext, StageFolder

# Roles take turns. Those that must exist ask for next to nothing: no number of rollout actors leaves them without a
# place, also after a death. Each CPU has room for one rollout actor beside them, and further ones stay unused.
CPUS = {"Learner": 0.01, "Reference": 0.01, "Judge": 0.01, "Rollout": 0.9}


def run(ctx: StageContext) -> None:
    """Leave ``model/``, ``metrics/``, ``prompts.json``, ``heldout.json`` and ``samples.jsonl``."""
    config, seed = ctx.config.rlhf, ctx.config.seed
    if not ctx.folder.done("prompts.json"):
        made = collect(ctx.inputs["corpus"], ctx.inputs["tokens"], config.sampling, seed)
        ctx.folder.write_json("prompts.json", to_json(made))
    prompts = from_json(ctx.folder.read_json("prompts.json"))
    kind = loop.choose_headline(config, ctx.inputs["reward"].read_json("accuracy.json"))
    ctx.count(
        prompts={"train": len(prompts.train), "heldout": len(prompts.heldout), "passed_over": prompts.passed_over},
        headline=kind,
    )
    if ctx.folder.done("samples.jsonl"):
        return
    crew = RayCrew(Setup(ctx.inputs, config, seed), ctx.folder, ctx.event)
    try:
        progress = loop.Progress(**crew.resume())
        with ctx.progress("rlhf", config.iterations, "iterations") as bar:
            bar.advance(len(progress.rows))

            def on_row(row: dict[str, Any]) -> None:
                bar.advance(1, reward=row["reward"], kl=row["kl"])

            loop.run(crew, prompts, config, kind=kind, seed=seed, progress=progress, on_row=on_row)
        crew.write_model(current=progress.evaluations[-1]["within_bound"])
    finally:
        crew.close()
    ctx.folder.write_jsonl("metrics/iterations.jsonl", progress.rows)
    ctx.folder.write_jsonl("metrics/evaluations.jsonl", summary.curve(progress))
    ctx.folder.write_json("heldout.json", summary.heldout(progress, kind, config.kl.bound, seed))
    ctx.folder.write_jsonl("samples.jsonl", summary.samples(progress, prompts))


class RayCrew:
    """The loop's crew on actors. Any of them may die at any time: the results are those of a calm run."""

    def __init__(self, setup: Setup, folder: StageFolder, event: Callable[..., None]) -> None:
        self.folder, self.event = folder, event
        sizes = {Learner: 1, Reference: 1, Judge: 1, Rollout: setup.config.rollout_actors}
        self.pools = {kind.__name__: Pool(kind, n, setup, num_cpus=CPUS[kind.__name__]) for kind, n in sizes.items()}
        self.version = -1
        self.weights: Any = None
        self.saved = 0  # iteration of the newest checkpoint
        self.since: list[tuple[Any, ...]] = []  # arguments of the updates after it

    # The loop's contract

    def experience(self, version: int, chunks: Sequence[Chunk]) -> list[Experience]:
        """Answers first; then the reference and the judge read them at the same time."""
        assert version == self.version, f"policy {version} was asked for, {self.version} stands"
        answers = self._map("Rollout", "answer", chunks, version, self.weights)
        answered = list(zip(chunks, answers, strict=True))
        with self._deaths_told("Reference", "Judge"):
            references, verdicts = together(
                (self.pools["Reference"], "logprobs", answered), (self.pools["Judge"], "judge", answered)
            )
        found = zip(answered, references, verdicts, strict=True)
        return [Experience(chunk, replies, reference, verdict) for (chunk, replies), reference, verdict in found]

    def update(self, iteration: int, experience: list[Experience], scores: list[float], keep: bool) -> dict[str, Any]:
        """One update, through any number of deaths of the learner."""
        arguments = (iteration, experience, scores, keep)
        weights, facts = self._learner("update", *arguments)
        self.since.append(arguments)
        self._publish(iteration + 1, weights)
        found: dict[str, Any] = facts
        return found

    def save(self, progress: dict[str, Any]) -> None:
        """A checkpoint of the learner, with what was measured so far."""
        self._learner("save", self.version, self.folder, progress)
        self.saved, self.since = self.version, []

    # Its beginning and end

    def resume(self) -> dict[str, Any]:
        """Go to the newest checkpoint that is whole, or to the beginning; what was measured until then."""
        tops = {p.split("/")[1] for p in self.folder.pieces("checkpoints/") if p.endswith("manifest.json")}
        progress: dict[str, Any] = {}
        for top in sorted(tops, reverse=True):
            self.saved = int(top)
            try:
                self._restore()
                progress = self.folder.read_json(f"checkpoints/{top}/progress.json")
                break
            except Exception as error:  # a broken checkpoint costs iterations, not the run
                self.event("checkpoint_refused", iteration=self.saved, reason=str(error).splitlines()[-1])
                self.saved = 0
        if not progress:
            self._restore()
        self._publish(self.saved, self._learner("weights", self.saved))
        return progress

    def write_model(self, current: bool) -> None:
        """Let the learner write the stage's result."""
        self._learner("write_model", self.version, self.folder, current)

    def close(self) -> None:
        """End all actors."""
        for pool in self.pools.values():
            pool.close()

    # Inside

    def _publish(self, version: int, weights: Any) -> None:
        self.version, self.weights = version, broadcast(weights)

    def _map(self, role: str, method: str, chunks: Sequence[object], *shared: object) -> list[Any]:
        """The results of all chunks, in order; deaths on the way are told."""
        with self._deaths_told(role):
            return list(self.pools[role].map(method, chunks, *shared))

    @contextmanager
    def _deaths_told(self, *roles: str) -> Iterator[None]:
        before = {role: self.pools[role].restarts for role in roles}
        try:
            yield
        finally:
            for role, count in before.items():
                pool = self.pools[role]
                if pool.restarts > count:
                    self.event("actor_lost", role=role, times=pool.restarts - count, why=pool.last_death)

    def _learner(self, method: str, *arguments: Any) -> Any:
        """Call the learner; where it turns out to be a new one, bring it to where the driver is, and call again."""
        while True:
            try:
                return self._map("Learner", method, [arguments[0]], *arguments[1:])[0]
            except BehindError:
                self._restore()

    def _restore(self) -> None:
        """The newest checkpoint, then the updates since: after it the learner is at the driver's version."""
        calls = [("restore", (self.saved, self.folder)), *(("update", arguments) for arguments in self.since)]
        while True:
            try:
                for method, arguments in calls:
                    self._map("Learner", method, [arguments[0]], *arguments[1:])
                return
            except BehindError:
                continue
