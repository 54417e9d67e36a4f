"""Pretraining in the report: what a run measured, what it did to itself, and nothing where nothing was measured."""

import json
from pathlib import Path
from typing import Any

from pipeline.pretrain.steplog import StepLog
from pipeline.pretrain.view import section
from pipeline.sections import Chart, Section, Table
from pipeline.stage import StageFolder


def line(step: int, **more: Any) -> dict[str, Any]:
    return {"step": step, "loss": 3.0 - step / 10, "grad_norm": 1.0, "lr": 1e-3, "tokens": 100 * (step + 1), **more}


def finished(tmp_path: Path, lines: list[dict[str, Any]]) -> StageFolder:
    folder = StageFolder.open(str(tmp_path), "pretrain", "f")
    folder.write_jsonl("metrics/steps.jsonl", lines)
    return folder


def drawn(folder: StageFolder) -> Section:
    found = section(folder, {})
    assert found is not None
    return found


def titles(found: Section) -> list[str]:
    return [block.title for block in found.blocks if isinstance(block, Table | Chart)]


def rows(found: Section, title: str) -> list[list[Any]]:
    return next(block.rows for block in found.blocks if isinstance(block, Table) and block.title == title)


def test_a_run_without_measurements_shows_its_losses_alone(tmp_path: Path) -> None:
    assert titles(drawn(finished(tmp_path, [line(0), line(1)]))) == [
        "Loss",
        "Learning rate",
        "Gradient norm before clipping",
    ]


def test_pace_is_told_in_tokens_a_second_utilisation_and_waits(tmp_path: Path) -> None:
    folder = finished(tmp_path, [line(0), line(1)])
    log = StepLog(folder, 0)
    clock = {"step_tokens": 100, "members": 2, "memory_bytes": 1 << 30, "loader_wait": 0.02, "checkpoint_stall": 0.0}
    log.add({**line(0), **clock, "seconds": 1.0, "mfu": 0.5})
    log.add({**line(1), **clock, "seconds": 3.0, "mfu": 0.3, "checkpoint_stall": 0.4})
    log.write()
    found = drawn(folder)
    assert {"Pace", "Tokens a second", "Utilisation", "Waits"} <= set(titles(found))
    told = dict(rows(found, "Pace"))
    assert told["model FLOPs utilisation, median step"] == "40.0%"
    assert told["share of the time waiting for data"] == "1.00%"
    assert told["share of the time waiting for a checkpoint"] == "10.00%"
    assert told["most memory of the first replica"] == "1 GiB"


def test_what_experts_dropped_is_told(tmp_path: Path) -> None:
    folder = finished(tmp_path, [line(0), line(1)])
    log = StepLog(folder, 0)
    clock = {"seconds": 1.0, "step_tokens": 100, "memory_bytes": 1 << 30, "loader_wait": 0.0, "checkpoint_stall": 0.0}
    for step, share in enumerate((0.1, 0.3)):
        log.add({**line(step), **clock, "dropped_share": share, "expert_load": 2.0})
    log.write()
    told = dict(rows(drawn(folder), "Pace"))
    assert told["places that experts at capacity dropped"] == "20.00%"
    assert told["busiest expert / mean, median step"] == "2.00"


def test_workers_are_told_beside_the_plan(tmp_path: Path) -> None:
    folder = finished(tmp_path, [line(0), line(1)])
    measured = {(0, 0): (3 << 20, 2048.0), (0, 1): (1 << 20, 1024.0), (1, 0): (2 << 20, 4096.0)}
    for (replica, worker), (memory, sent) in measured.items():
        said = {"worker": worker, "memory": memory, "sent": sent, "tokens": 64}
        folder.storage.put(folder.key(f"timing/workers/{replica}-{worker}.json"), json.dumps(said).encode())
    unmeasured = json.dumps({"worker": 2, "memory": 1 << 20}).encode()
    folder.storage.put(folder.key("timing/workers/0-2.json"), unmeasured)
    assert rows(drawn(folder), "Workers of a replica")[0] == ["0", None, "3 MiB", None, "4 KiB"]
    plan = {"workers": {"0": {"memory": 4 << 20, "sent a step": 1024}}}
    folder.storage.put("plan.json", json.dumps(plan).encode())
    assert rows(drawn(folder), "Workers of a replica") == [
        ["0", "4 MiB", "3 MiB", "1 KiB", "4 KiB"],
        ["1", None, "1 MiB", None, "1 KiB"],
        ["2", None, "1 MiB", None, None],
    ]


def test_traffic_that_fewer_replicas_had_is_told_as_such(tmp_path: Path) -> None:
    folder = finished(tmp_path, [line(0), line(1)])
    folder.storage.put("plan.json", json.dumps({"workers": {}, "replicas": 2}).encode())
    for members, told in ((1, True), (2, False)):
        said = {"worker": 0, "memory": 1 << 20, "sent": 4096.0, "tokens": 64, "members": members}
        folder.storage.put(folder.key("timing/workers/0-0.json"), json.dumps(said).encode())
        notes = [block.note for block in drawn(folder).blocks if isinstance(block, Table)]
        assert any("while 1 of 2 replicas took part" in note for note in notes) == told


def test_spikes_and_swaps_are_told(tmp_path: Path) -> None:
    guard = {"cause": "loss", "z": 9.1, "action": "rollback", "batches": 20, "factor": 1.0, "to": 40}
    swap = {"name": "recipe/0", "at": 3, "set": {"optim.kind": "lion"}, "position": 3, "warmup": 0}
    found = drawn(finished(tmp_path, [line(0), line(1, skipped="loss", guard=guard), line(2, swaps=[swap])]))
    assert rows(found, "Spikes") == [[1, "loss", 9.1, "rollback", 40, 20, 1.0]]
    assert rows(found, "Hot swaps") == [[3, "optim.kind = lion", "recipe/0"]]
    assert rows(found, "Skipped steps") == [[1, "loss"]]


def test_a_run_that_is_going_is_told_by_its_newest_checkpoint(tmp_path: Path) -> None:
    folder = StageFolder.open(str(tmp_path), "pretrain", "f")
    assert section(folder, {}) is None
    facts = {"facts": {"history": [line(0), line(1)]}}
    folder.write_bytes("checkpoints/0000002/manifest.json", json.dumps(facts).encode())
    assert "step 2" in drawn(folder).lead
