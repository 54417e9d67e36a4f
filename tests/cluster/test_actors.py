"""Pools against a real cluster: order, a chunk done again after its actor's death, and errors as they were raised."""

from pathlib import Path

import pytest

from cluster.actors import ChunkLost, Pool, broadcast
from cluster.errors import FirstlightError
from tests.support.workers import Doubler, Unborn

pytestmark = pytest.mark.ray


def test_map_yields_in_order_of_chunks_and_shares_a_ref(ray_session: Path) -> None:
    with Pool(Doubler, 2, num_cpus=0.5) as pool:
        assert list(pool.map("double", range(30), broadcast(1))) == [2 * n + 1 for n in range(30)]
        assert list(pool.map("double", [])) == []


def test_chunk_of_a_killed_actor_is_done_again(ray_session: Path, tmp_path: Path) -> None:
    with Pool(Doubler, 2, 3, str(tmp_path / "died"), num_cpus=0.5) as pool:
        assert list(pool.map("double", range(8))) == [2 * n for n in range(8)]
        assert pool.restarts == 1
        assert pool.last_death


def test_chunk_that_always_kills_ends_the_map(ray_session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.actors.DEATHS_OF_ONE_CHUNK", 2)
    with Pool(Doubler, 1, 0, num_cpus=0.5) as pool, pytest.raises(ChunkLost, match="chunk 0 was tried 2 times"):
        list(pool.map("double", range(2)))


def test_exception_of_the_method_keeps_type_and_traceback(ray_session: Path) -> None:
    with Pool(Doubler, 1, num_cpus=0.5) as pool, pytest.raises(ZeroDivisionError, match=r"in fail[\s\S]*at 7"):
        list(pool.map("fail", [7]))


def test_failing_constructor_is_not_retried(ray_session: Path) -> None:
    with Pool(Unborn, 1, num_cpus=0.5) as pool, pytest.raises(FirstlightError, match="no such weights"):
        list(pool.map("double", [1]))
