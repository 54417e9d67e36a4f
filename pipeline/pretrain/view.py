"""Pretraining in the report: loss, held-out bits a byte, learning rate, batch, and the steps that were skipped."""

import json
from statistics import mean, median
from typing import Any

from pipeline import figures
from pipeline.pretrain import steplog
from pipeline.pretrain.course import guard_events
from pipeline.sections import Block, Cell, Chart, Point, Section, Table
from pipeline.stage import StageFolder

SMOOTH = 0.9
WAITS = (("loader_wait", "waiting for data"), ("checkpoint_stall", "waiting for a checkpoint"))


def section(folder: StageFolder, inputs: dict[str, StageFolder]) -> Section | None:
    """A finished run whole; of one that is still going, where its newest checkpoint stands."""
    if not folder.done("metrics/steps.jsonl"):
        return _half_way(folder)
    lines = folder.read_jsonl("metrics/steps.jsonl")
    curve = folder.read_json("metrics/curve.json") if folder.done("metrics/curve.json") else []
    blocks: list[Block] = [_loss(lines, curve)]
    if curve:
        points = [(float(p["tokens"]), float(p["bits_per_byte"])) for p in curve]
        title, note = "Held-out bits a byte", "On a fixed sample of held-out windows; stage evaluate scores all of it."
        blocks.append(Chart(title, {"held-out": points}, "tokens", "bits a byte", note=note))
    blocks += [_series("Learning rate", lines, "lr"), _series("Gradient norm before clipping", lines, "grad_norm")]
    blocks += [*_changes(lines), *_pace(folder), *_workers(folder)]
    if folder.done("mixture.json"):
        blocks.append(_mixture(folder.read_json("mixture.json")))
    skipped = [[line["step"], line["skipped"]] for line in lines if "skipped" in line]
    if skipped:
        blocks.append(Table("Skipped steps", ["step", "reason"], skipped))
    last = lines[-1]
    end = f", held-out {curve[-1]['bits_per_byte']:.3f} bits a byte" if curve else ""
    lead = (
        f"{len(lines):,} steps over {figures.short(last['tokens'])} tokens ended at a loss of {last['loss']:.3f}{end}; "
        f"{len(skipped)} steps were skipped."
    )
    headline = [("pretraining tokens", figures.short(last["tokens"])), ("last loss", f"{last['loss']:.3f}")]
    if curve:
        headline = [("held-out bits a byte", f"{curve[-1]['bits_per_byte']:.3f}"), *headline]
    return Section("pretrain", "Pretraining", lead, blocks, headline)


def _mixture(got: dict[str, dict[str, float]]) -> Table:
    rows: list[list[Cell]] = [
        [name, f"{g['asked']:.1%}", f"{g['got']:.1%}", int(g["samples"]), round(g["epochs"], 3)]
        for name, g in got.items()
    ]
    return Table("Mixture of this run", ["source", "asked", "got", "windows", "passes over the source"], rows)


def _half_way(folder: StageFolder) -> Section | None:
    manifests = [p for p in folder.pieces("checkpoints/") if p.endswith("manifest.json")]
    if not manifests:
        return None
    lines = json.loads(folder.read_bytes(manifests[-1]))["facts"]["history"]
    at = f"step {len(lines):,}, {figures.short(lines[-1]['tokens'])} tokens"
    lead = f"Not finished: its newest checkpoint stands at {at}."
    return Section(
        "pretrain", "Pretraining", lead, [_loss(lines, []), *_changes(lines), *_pace(folder), *_workers(folder)]
    )


def _loss(lines: list[dict[str, Any]], curve: list[dict[str, Any]]) -> Chart:
    smooth: list[Point] = []
    for line in lines:
        before = smooth[-1][1] if smooth else line["loss"]
        smooth.append((float(line["tokens"]), SMOOTH * before + (1 - SMOOTH) * line["loss"]))
    series = {"training, smoothed": smooth}
    if curve:
        series["held-out"] = [(float(p["tokens"]), float(p["loss"])) for p in curve]
    return Chart("Loss", series, "tokens", "nats a token")


def _series(title: str, lines: list[dict[str, Any]], key: str) -> Chart:
    return Chart(title, {key: [(float(line["tokens"]), float(line[key])) for line in lines]}, "tokens", title.lower())


def _changes(lines: list[dict[str, Any]]) -> list[Block]:
    """What the run did to itself: spikes that the guard met, and hot swaps."""
    met: list[list[Cell]] = [
        [e["step"], e["cause"], e["z"], e["action"], e.get("to"), e["batches"], e["factor"]]
        for e in guard_events(lines)
    ]
    swaps: list[list[Cell]] = [
        [
            line["step"] + 1,
            ", ".join(f"{name} = {value}" for name, value in swap["set"].items())
            + ", which the rest does not fill" * swap.get("unfilled", False),
            swap["name"],
        ]
        for line in lines
        for swap in line.get("swaps", ())
    ]
    columns = ["step", "cause", "z", "action", "back to step", "batches passed over", "rate x"]
    blocks: list[Block] = [Table("Spikes", columns, met)] if met else []
    return [*blocks, Table("Hot swaps", ["from step", "what", "asked by"], swaps)] if swaps else blocks


def _pace(folder: StageFolder) -> list[Block]:
    """Speed, utilisation, waits and memory, as the clock had them; not part of the result."""
    lines = steplog.read(folder)
    if not lines:
        return []
    at = [float(line["tokens"]) for line in lines]
    speed = [line["step_tokens"] / line["seconds"] for line in lines]
    busy = [(x, line["mfu"]) for x, line in zip(at, lines, strict=True) if "mfu" in line]
    total = sum(line["seconds"] for line in lines)
    rows: list[list[Cell]] = [
        ["tokens a second, median step", f"{median(speed):,.0f}"],
        ["model FLOPs utilisation, median step", f"{median(y for _, y in busy):.1%}" if busy else None],
    ]
    for key, name in WAITS:
        rows.append([f"share of the time {name}", f"{sum(line[key] for line in lines) / total:.2%}"])
    if routed := [line for line in lines if "dropped_share" in line]:
        rows.append(["places that experts at capacity dropped", f"{mean(x['dropped_share'] for x in routed):.2%}"])
        rows.append(["busiest expert / mean, median step", f"{median(x['expert_load'] for x in routed):.2f}"])
    rows.append(["most memory of the first replica", figures.size(max(line["memory_bytes"] for line in lines))])
    rows.append(["steps measured, and their time", f"{len(lines):,}, {figures.seconds(total)}"])
    waits = {name: [(x, line[key] / line["seconds"]) for x, line in zip(at, lines, strict=True)] for key, name in WAITS}
    note = "Beside the largest matrix product of the same threads, measured when the replica began."
    blocks: list[Block] = [
        Table("Pace", ["what", "measured"], rows),
        Chart("Tokens a second", {"all replicas": list(zip(at, speed, strict=True))}, "tokens", "tokens a second"),
        Chart("Utilisation", {"all replicas": busy}, "tokens", "share of the peak", note=note),
        Chart("Waits", waits, "tokens", "share of the step"),
    ]
    return blocks if busy else [*blocks[:2], blocks[3]]


def _workers(folder: StageFolder) -> list[Block]:
    """What each worker of a layout took, beside the plan; of the same worker in several replicas, the most."""
    plan: dict[str, Any] = {}
    if folder.storage.exists("plan.json"):
        plan = json.loads(folder.storage.get("plan.json"))
    members, replicas = 0, plan.get("replicas", 1)
    most: dict[int, dict[str, float]] = {}
    for key in folder.storage.list(folder.key(steplog.WORKERS)):
        said = json.loads(folder.storage.get(key))
        known = most.setdefault(said["worker"], {})
        members = max(members, said.get("members", 0))
        known |= {what: max(said.get(what, 0.0), known.get(what, 0.0)) for what in ("memory", "sent")}
    rows: list[list[Cell]] = []
    for worker, measured in sorted(most.items()):
        own = plan.get("workers", {}).get(str(worker), {})
        sizes = (own.get("memory"), measured["memory"], own.get("sent a step"), measured["sent"])
        rows.append([str(worker), *(figures.size(size) if size else None for size in sizes)])
    columns = ["worker", "memory planned", "measured", "sent a step planned", "measured"]
    note = "Memory is the most that was resident while it trained; a step's bytes are those of the largest batch."
    if 0 < members < replicas:  # each had more shards of the step
        note += f" They were counted while {members} of {replicas} replicas took part; the plan is of all."
    return [Table("Workers of a replica", columns, rows, note)] if rows else []
