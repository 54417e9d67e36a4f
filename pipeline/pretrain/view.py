"""Pretraining in the report: loss, held-out bits a byte, learning rate, batch, and the steps that were skipped."""

import json
from typing import Any

from pipeline import figures
from pipeline.sections import Block, Cell, Chart, Point, Section, Table
from pipeline.stage import StageFolder

SMOOTH = 0.9


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
    return Section("pretrain", "Pretraining", lead, [_loss(lines, [])])


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
