"""TensorBoard's event files hold what was logged."""

import struct
import sys
from pathlib import Path

import pytest

from cluster.errors import ConfigError
from pipeline.pretrain.trackers import tensorboard

pytest.importorskip("tensorboardX", reason="the event files are read back by its schema")


def scalars(folder: Path) -> list[tuple[int, str, float]]:
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.glob("events.*")):
        data, at = path.read_bytes(), 0
        while at < len(data):  # length, its checksum, the event, its checksum
            (length,) = struct.unpack_from("<Q", data, at)
            event = Event.FromString(data[at + 12 : at + 12 + length])
            found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
            at += 16 + length
    return found


def test_numbers_of_a_step_are_written_under_their_names(tmp_path: Path) -> None:
    tracker = tensorboard.start(tmp_path, "run", {})
    tracker.log(3, {"loss": 2.5, "mfu": 0.5})
    tracker.log(4, {"loss": 2.25})
    tracker.close()
    expected = [(3, "train/loss", 2.5), (3, "train/mfu", 0.5), (4, "train/loss", 2.25)]
    assert scalars(tmp_path / "tensorboard") == expected


def test_without_a_writer_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match="pip install tensorboardX"):
        tensorboard.start(tmp_path, "run", {})
