"""Pools against a real cluster: order, a chunk done again after its actor's death, and errors as they were raised."""

from pathlib import Path

import pytest

from cluster.actors import ChunkLost, Pool, broadcast, together
from cluster.errors import FirstlightError, UserError
from tests.support.workers import Doubler, Stillborn, Unborn

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


def test_actors_beyond_the_cluster_stay_unused(ray_session: Path) -> None:
    with Pool(Doubler, 5, num_cpus=0.9) as pool:
        assert len(set(pool.map("pid", range(20)))) in (1, 2)


def test_pool_that_finds_no_place_is_refused(ray_session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.actors.PLACEMENT_SECONDS", 1.5)
    with Pool(Doubler, 1, num_cpus=64) as pool, pytest.raises(UserError, match="asks for 64 CPUs") as caught:
        list(pool.map("double", [1]))
    assert (caught.value.field, caught.value.value) == ("cluster.cpus", 2.0)


def test_lost_chunk_goes_to_an_actor_that_stands(ray_session: Path, tmp_path: Path) -> None:
    with Pool(Doubler, 2, 100, str(tmp_path / "died"), num_cpus=0.5) as pool:
        standing = set[int]()
        while len(standing) < 2:
            standing |= set(pool.map("pid", range(8)))
        assert set(pool.map("pid", [100])) < standing
        assert pool.restarts == 1


def test_maps_of_two_pools_run_together(ray_session: Path, tmp_path: Path) -> None:
    with Pool(Doubler, 1, 3, str(tmp_path / "died"), num_cpus=0.5) as one, Pool(Doubler, 1, num_cpus=0.5) as two:
        found = together((one, "double", range(8)), (two, "double", [5]))
        assert found == [[2 * n for n in range(8)], [10]]
        assert (one.restarts, two.restarts) == (1, 0)


def test_actor_that_dies_while_it_starts_ends_the_map(ray_session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.actors.DEATHS_AT_START", 2)
    with Pool(Stillborn, 1, num_cpus=0.5) as pool, pytest.raises(ChunkLost, match="died 2 times while it started"):
        list(pool.map("double", [1]))


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
