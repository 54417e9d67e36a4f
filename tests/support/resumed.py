"""A trainee to disk and back in one process: its checkpoints are written as a replica writes them."""

from pipeline.pretrain.checkpoints import Checkpoints, newest
from pipeline.pretrain.loop import Trainee
from pipeline.stage import StageFolder


def save(trainee: Trainee, folder: StageFolder) -> None:
    """Write a checkpoint, and wait until it stands."""
    checkpoints = Checkpoints(folder)
    checkpoints.save(trainee.step, trainee.state(), trainee.facts())
    checkpoints.join()


def resume(trainee: Trainee, folder: StageFolder) -> None:
    """Restore the newest checkpoint; none may be broken, and one must be there."""
    found, refused = newest(folder)
    assert found and not refused, refused
    trainee.restore(*found)
