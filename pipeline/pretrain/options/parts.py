"""Checkpoints of a replica of several workers: each writes its own parts, the first the manifest. No collective.

A worker's thread writes its chunks, and then beside them what they are (``parts-<life>-<worker>.json``). When all of
these stand, a second thread of the first worker reads them and writes the manifest. So a worker that dies leaves no
manifest, and its replica, which ends with it, waits for nobody; the next life writes its own parts files.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from torch import Tensor

from models import checkpoint
from pipeline.pretrain.checkpoints import TOP, Checkpoints, drop_old, steps
from pipeline.stage import StageFolder

POLL_S = 0.05
LAST_S = 60.0  # how long the last manifests may take, once each worker has said that its parts stand


class PartCheckpoints(Checkpoints):
    """`Checkpoints` for one worker; `boxed` says what it writes of its tensors, `life` names that of its replica.

    The next checkpoint waits for this worker's former parts. It does not wait for the former manifest: that comes when
    the slowest worker is there, in the order of steps.
    """

    def __init__(
        self,
        folder: StageFolder,
        keep: int,
        every: int,
        boxed: Callable[[Mapping[str, Tensor]], checkpoint.Parts],
        life: str,
        worker: int,
        workers: int,
    ) -> None:
        super().__init__(folder, keep, every)
        self._boxed, self._life, self._worker, self._workers = boxed, life, worker, workers
        self._committer = ThreadPoolExecutor(1, "manifests")
        self._committing: list[Future[None]] = []
        self._ended = threading.Event()

    def join(self) -> None:
        """Wait until this worker's parts stand. Raises what stopped them, or a manifest before."""
        super().join()
        for future in [future for future in self._committing if future.done()]:
            self._committing.remove(future)
            future.result()

    def finish(self) -> None:
        """Wait until the manifests stand, when each worker has joined. Raises what stopped one."""
        end = time.monotonic() + LAST_S
        while self._committing:
            self._committing.pop(0).result(max(0.0, end - time.monotonic()))

    def end(self) -> None:
        """Wait for no worker any more: what is not whole stays half."""
        self._ended.set()

    def _write(self, step: int, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        said = checkpoint.save_parts(self._folder.write_bytes, f"{TOP}/{step:07d}", self._boxed(tensors))
        self._folder.storage.put(self._key(step, self._worker), json.dumps(said).encode())
        if self._worker == 0:
            self._committing.append(self._committer.submit(self._commit, step, facts))

    def _commit(self, step: int, facts: dict[str, Any]) -> None:
        storage, keys = self._folder.storage, [self._key(step, worker) for worker in range(self._workers)]
        while not all(storage.exists(key) for key in keys):
            if self._ended.wait(POLL_S) or not storage.exists(keys[0]):
                return  # another replica has newer ones, and took this one away
        if step < min(steps(self._folder)[-self._keep :], default=0):
            return
        try:
            said = [entry for key in keys for entry in json.loads(storage.get(key))]
        except FileNotFoundError:
            return
        checkpoint.commit(self._folder.write_bytes, f"{TOP}/{step:07d}", said, facts)
        for key in keys:
            storage.delete(key)
        drop_old(self._folder, self._keep, self._every)

    def _key(self, step: int, worker: int) -> str:
        return self._folder.key(f"{TOP}/{step:07d}/parts-{self._life}-{worker}.json")
