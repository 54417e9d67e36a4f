"""Checkpoints: written behind the training's back, whole or not at all, and kept by the rule."""

import multiprocessing
import threading
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.pretrain.checkpoints import Checkpoints, drop_old, kept, newest
from pipeline.stage import StageFolder


class Slow(StageFolder):
    """A folder whose writes wait for a gate, or fail."""

    gate = threading.Event()
    broken = False

    def write_bytes(self, piece: str, data: bytes, rows: int = 0, logical: str | None = None) -> None:
        assert self.gate.wait(10)
        if type(self).broken:
            raise OSError("no room left")
        super().write_bytes(piece, data, rows, logical)


@pytest.fixture
def slow(tmp_path: Path) -> Slow:
    Slow.gate, Slow.broken = threading.Event(), False
    return Slow(str(tmp_path), "s", "f")


def folder(tmp_path: Path) -> StageFolder:
    return StageFolder.open(str(tmp_path), "s", "f")


def write(where: StageFolder, *steps: int, keep: int = 100) -> None:
    checkpoints = Checkpoints(where, keep)
    for step in steps:
        checkpoints.save(step, {"w": torch.full((3,), float(step))}, {"step": step, "history": []})
    checkpoints.join()


def standing(where: StageFolder) -> set[int]:
    return {int(piece.split("/")[1]) for piece in where.pieces("checkpoints/")}


def test_what_was_saved_is_the_state_of_that_moment(slow: Slow) -> None:
    checkpoints, weights = Checkpoints(slow), torch.zeros(4)
    checkpoints.save(1, {"w": weights}, {"step": 1})
    weights.fill_(9.0)  # training goes on while it is written
    slow.gate.set()
    checkpoints.join()
    found, refused = newest(slow)
    assert found is not None and refused == []
    assert found[0]["w"].tolist() == [0.0] * 4 and found[1] == {"step": 1}


def test_saving_does_not_wait_for_the_disk_and_the_next_waits_for_the_former(slow: Slow) -> None:
    checkpoints = Checkpoints(slow)
    checkpoints.save(1, {"w": torch.zeros(2)}, {})
    assert newest(slow) == (None, [])  # it returned, and nothing is written yet
    timer = threading.Timer(0.2, slow.gate.set)
    timer.start()
    checkpoints.save(2, {"w": torch.ones(2)}, {})
    assert 1 in standing(slow)
    assert checkpoints.stalled >= 0.15
    checkpoints.join()
    assert standing(slow) == {1, 2}


def test_what_stopped_a_write_is_told_by_the_next_one(slow: Slow) -> None:
    checkpoints = Checkpoints(slow)
    Slow.broken = True
    slow.gate.set()
    checkpoints.save(1, {"w": torch.zeros(2)}, {})
    with pytest.raises(OSError, match="no room left"):
        checkpoints.save(2, {"w": torch.zeros(2)}, {})
    checkpoints.join()  # told once


def test_one_without_its_manifest_does_not_count_and_is_written_over(tmp_path: Path) -> None:
    where = folder(tmp_path)
    write(where, 1, 2)
    where.drop("checkpoints/0000002/manifest.json")  # as if its writer had died before the end
    found, refused = newest(where)
    assert found is not None and found[1]["step"] == 1 and refused == []
    write(where, 2)
    again, _ = newest(where)
    assert again is not None and again[1]["step"] == 2


def test_a_corrupt_one_is_refused_and_the_one_before_it_is_used(tmp_path: Path) -> None:
    where = folder(tmp_path)
    write(where, 1, 2, 3)
    for step, name in ((3, "*.bin"), (2, "manifest.json")):
        path = next((tmp_path / "s" / "checkpoints" / f"{step:07d}").glob(name))
        path.write_bytes(b"?" + path.read_bytes()[1:])
    found, refused = newest(where)
    assert found is not None and found[1]["step"] == 1
    assert [reason.split(":")[0] for reason in refused] == [f"checkpoints/000000{n}/manifest.json" for n in (3, 2)]


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(0, 200), min_size=1), st.integers(1, 5), st.integers(0, 7))
def test_the_rule_keeps_the_newest_and_each_nth(steps: set[int], keep: int, every: int) -> None:
    stay = kept(list(steps), keep, every)
    assert stay <= steps
    for step in steps:
        newer = sum(other > step for other in steps)
        assert (step in stay) == (newer < keep or (every > 0 and step % every == 0))


def test_old_ones_go_whole_and_half_ones_with_them(tmp_path: Path) -> None:
    where = folder(tmp_path)
    write(where, 10, 20, 30, 40)
    where.drop("checkpoints/0000020/manifest.json")  # half a checkpoint, older than what is kept
    where.write_bytes("checkpoints/0000050/a.bin", b"x")  # another replica is at this one
    drop_old(where, keep=1, every=30)
    assert standing(where) == {30, 40, 50}
    assert not (tmp_path / "s" / "checkpoints" / "0000010").exists()
    drop_old(where, keep=1)
    assert standing(where) == {40, 50}


def test_a_writer_keeps_by_the_rule(tmp_path: Path) -> None:
    where = folder(tmp_path)
    checkpoints = Checkpoints(where, keep=2, every=4)
    for step in range(2, 12, 2):
        checkpoints.save(step, {"w": torch.zeros(1)}, {})
    checkpoints.join()
    assert standing(where) == {4, 8, 10}


def save_for_ever(run: str) -> None:
    checkpoints = Checkpoints(StageFolder.open(run, "s", "f"))
    for step in range(1, 10**6):
        checkpoints.save(step, {"w": torch.full((200_000,), float(step))}, {"step": step})


def test_a_writer_that_is_killed_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    for round_ in range(3):
        run = tmp_path / str(round_)
        writer = multiprocessing.get_context("fork").Process(target=save_for_ever, args=(str(run),), daemon=True)
        writer.start()
        while len(standing(folder(run))) < 2:
            assert writer.is_alive()
            time.sleep(0.001 * (round_ + 1))  # so that the moments differ
        writer.kill()
        writer.join()
        found, refused = newest(folder(run))
        assert found is not None and refused == []
        assert found[0]["w"].unique().tolist() == [float(found[1]["step"])]
