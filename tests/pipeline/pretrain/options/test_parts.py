"""Checkpoints in parts: whole when the last worker is there, half when one dies, and in the way of none."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models import checkpoint
from pipeline.pretrain.checkpoints import manifests, newest
from pipeline.pretrain.options.parts import PartCheckpoints
from pipeline.stage import StageFolder

WORKERS = 3


def folder(tmp_path: Path) -> StageFolder:
    return StageFolder.open(str(tmp_path), "s", "f")


def worker(where: StageFolder, index: int, life: str = "a", keep: int = 2) -> PartCheckpoints:
    """It holds one row of `w`, and the count of steps, which each has whole."""

    def boxed(tensors: dict[str, Tensor]) -> object:
        box = [[index, index + 1], [0, 2]]
        return {"w": ((WORKERS, 2), [(box, tensors["w"])]), "step": ((), [([], tensors["step"])])}

    made: Callable[..., PartCheckpoints] = PartCheckpoints
    return made(where, keep, 0, boxed, life, index, WORKERS)


def save(checkpoints: PartCheckpoints, index: int, step: int) -> None:
    row = torch.full((1, 2), float(10 * step + index))
    checkpoints.save(step, {"w": row, "step": torch.tensor(float(step))}, {"step": step})
    row.fill_(-1.0)  # training goes on while it is written


def finish(crew: list[PartCheckpoints]) -> None:
    for one in crew:
        one.join()
    crew[0].finish()


def expected(step: int) -> list[list[float]]:
    return [[10.0 * step + index] * 2 for index in range(WORKERS)]


def test_parts_of_all_workers_are_one_checkpoint(tmp_path: Path) -> None:
    where = folder(tmp_path)
    crew = [worker(where, index) for index in range(WORKERS)]
    for step in (1, 2, 3):
        for index, one in enumerate(crew):
            save(one, index, step)
    finish(crew)
    found, refused = newest(where)
    assert found is not None and not refused
    assert found[0]["w"].tolist() == expected(3) and found[0]["step"] == 3 and found[1] == {"step": 3}
    assert [int(piece.split("/")[1]) for piece in manifests(where)] == [2, 3]  # the oldest went
    assert not list((tmp_path / "s" / "checkpoints").rglob("parts-*"))


def test_without_one_workers_parts_there_is_no_checkpoint_and_the_one_before_is_used(tmp_path: Path) -> None:
    where = folder(tmp_path)
    crew = [worker(where, index) for index in range(WORKERS)]
    for index, one in enumerate(crew):
        save(one, index, 1)
    finish(crew)
    for index in (0, 1):  # the last one died before its parts stood
        save(crew[index], index, 2)
        crew[index].join()
    crew[0].end()
    crew[0].finish()  # waits for nobody
    found, refused = newest(where)
    assert found is not None and found[1] == {"step": 1} and refused == []
    again = [worker(where, index, "b") for index in range(WORKERS)]
    for index in (0, 1, 2):  # the parts that a former life left do not count
        save(again[index], index, 2)
        again[index].join()
        assert index == 2 or "checkpoints/0000002/manifest.json" not in manifests(where)
    finish(again)
    found, _ = newest(where)
    assert found is not None and found[0]["w"].tolist() == expected(2)


def test_the_first_worker_waits_for_no_other_and_manifests_come_in_order(tmp_path: Path) -> None:
    where = folder(tmp_path)
    crew = [worker(where, index) for index in range(WORKERS)]
    for step in (1, 2):
        for index in (0, 1):
            save(crew[index], index, step)  # returns, though the last worker's former parts are missing
    for index in (0, 1):
        crew[index].join()
    assert manifests(where) == []
    save(crew[2], 2, 1)
    crew[2].join()
    while not manifests(where):
        time.sleep(0.01)
    assert manifests(where) == ["checkpoints/0000001/manifest.json"]
    save(crew[2], 2, 2)
    finish(crew)
    assert len(manifests(where)) == 2


def test_two_lives_at_one_step_do_not_disturb_each_other(tmp_path: Path) -> None:
    where = folder(tmp_path)
    lives = [[worker(where, index, life) for index in range(WORKERS)] for life in "ab"]
    for index in range(WORKERS):
        for crew in lives:
            save(crew[index], index, 4)
    for crew in lives:
        finish(crew)
    found, refused = newest(where)
    assert found is not None and refused == [] and found[0]["w"].tolist() == expected(4)


def test_what_another_replica_took_away_holds_up_nothing(tmp_path: Path) -> None:
    where = folder(tmp_path)
    slow, other = [worker(where, index) for index in range(WORKERS)], [worker(where, i, "b") for i in range(WORKERS)]
    for index in (0, 1):
        save(slow[index], index, 1)
        slow[index].join()
    for step in (2, 3, 4):
        for index, one in enumerate(other):
            save(one, index, step)
        finish(other)
    for step in (5, 6):
        for index, one in enumerate(slow):
            save(one, index, step)
    finish(slow)
    assert [int(piece.split("/")[1]) for piece in manifests(where)] == [5, 6]


def test_what_stopped_a_manifest_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("no room left")

    where = folder(tmp_path)
    crew = [worker(where, index) for index in range(WORKERS)]
    monkeypatch.setattr(checkpoint, "commit", full)
    for index, one in enumerate(crew):
        save(one, index, 1)
    with pytest.raises(OSError, match="no room left"):
        finish(crew)


def test_a_chunk_that_went_bad_is_refused(tmp_path: Path) -> None:
    where = folder(tmp_path)
    crew = [worker(where, index) for index in range(WORKERS)]
    for step in (1, 2):
        for index, one in enumerate(crew):
            save(one, index, step)
    finish(crew)
    path = next((tmp_path / "s" / "checkpoints" / "0000002").glob("*.bin"))
    path.write_bytes(b"?" + path.read_bytes()[1:])
    found, refused = newest(where)
    assert found is not None and found[0]["w"].tolist() == expected(1)
    assert len(refused) == 1
