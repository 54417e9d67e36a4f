"""Fixtures for all tests: one local Ray cluster for the whole session, started by the first test that asks for it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from cluster.config import MIB, ClusterConfig

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts tests in the background ignores it

# The same examples in every clone; FIRSTLIGHT_FUZZ=1 draws others, for whoever looks for faults.
settings.register_profile("firstlight", derandomize=not os.environ.get("FIRSTLIGHT_FUZZ"))
settings.load_profile("firstlight")


@pytest.fixture(scope="session")
def ray_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real cluster with 2 logical CPUs, shared by all tests marked ``ray``; its log folder."""
    from cluster.connect import connect

    logs = tmp_path_factory.mktemp("ray_session")
    home = pytest.MonkeyPatch()
    home.setenv("FIRSTLIGHT_HOME", str(tmp_path_factory.mktemp("home")))
    try:
        with connect(ClusterConfig(cpus=2, object_store_bytes=200 * MIB), str(logs), redirect=False):
            yield logs
    finally:
        home.undo()
