"""Host "train" of a replica: a Ray Train run with one worker, whose death Ray Train mends by itself. Knows no torch.

The few names of Ray Train that are not its public ones stand here; pyproject pins Ray's minor version for them.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray

NAMESPACE = b"firstlight"
# Ray Train reads these in the process that calls fit(). A worker that waits for an autoscaled node needs the long start
# timeout; the rest is upkeep that a run of one worker has no use for.
ENVIRONMENT = {
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "0",
    "RAY_TRAIN_ENABLE_STATE_ACTOR_RECONCILIATION": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


@dataclass(frozen=True)
class TrainRun:
    """What a Ray Train run of one worker needs to know."""

    name: str
    storage: str
    num_cpus: float
    health_seconds: float
    reservation: str  # the key under which the run notes its placement group
    workers: int = 1  # close together where there is room


def fit(run: TrainRun, worker: Callable[[dict[str, Any]], object], config: dict[str, Any]) -> object:
    """Run ``worker(config)`` in a process that Ray Train restarts, without limit, when it dies; what it returns.

    Call it in the main thread of an actor: it blocks, and sets a signal handler.
    """
    os.environ.update(ENVIRONMENT)
    os.environ["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] = str(run.health_seconds)
    from ray.train import FailureConfig, RunConfig, ScalingConfig

    # Ray Train's generic trainer: TorchTrainer adds a process group, which a single worker has no use for, and loads
    # torch in the two processes that only supervise.
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    trainer = DataParallelTrainer(
        worker,
        train_loop_config=config,
        scaling_config=ScalingConfig(num_workers=run.workers, resources_per_worker={"CPU": run.num_cpus}),
        run_config=RunConfig(
            name=run.name,
            storage_path=run.storage,
            failure_config=FailureConfig(max_failures=-1),
            callbacks=[_note_reservation(run.reservation)],
        ),
    )
    return getattr(trainer.fit(), "return_value", None)


def rank() -> int:
    """Of this worker in its run."""
    from ray.train import get_context

    found: int = get_context().get_world_rank()
    return found


def _note_reservation(key: str) -> Any:
    """A callback that notes the worker's placement group, for ``free``."""
    from ray.experimental.internal_kv import _internal_kv_put
    from ray.train.v2._internal.execution.callback import WorkerGroupCallback

    class Note(WorkerGroupCallback):
        def after_worker_group_start(self, worker_group: Any) -> None:
            group = worker_group.get_worker_group_state().placement_group_handle.placement_group
            _internal_kv_put(key.encode(), group.id.binary(), overwrite=True, namespace=NAMESPACE)

    return Note()


def reservation_key(name: str, index: int, life: int) -> str:
    """A key that no other driver of the cluster uses, and no other life of the replica."""
    return f"{ray.get_runtime_context().get_job_id()}/{name}/{index}/{life}"


def free(key: str) -> None:
    """Give back the CPUs of a run whose controller was killed; nothing where none are held.

    A placement group outlives its creator for as long as the driver lives, and Ray Train's own cleaner for this asks
    the dashboard, which an embedded cluster has not.
    """
    from ray._raylet import PlacementGroupID
    from ray.experimental.internal_kv import _internal_kv_del, _internal_kv_get
    from ray.util.placement_group import PlacementGroup, remove_placement_group

    found = _internal_kv_get(key.encode(), namespace=NAMESPACE)
    if found:
        remove_placement_group(PlacementGroup(PlacementGroupID(found)))
        _internal_kv_del(key.encode(), namespace=NAMESPACE)
