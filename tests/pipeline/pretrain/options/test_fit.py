"""The largest micro-batch that fits: the rule, the probe in a process of its own, and that it is settled once."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.errors import ConfigError
from pipeline import config as configs
from pipeline import recipes
from pipeline.config import RunConfig
from pipeline.pretrain.options import fit


def recipe(**pretrain: Any) -> RunConfig:
    values = recipes.tiny()
    values["model"] = {**values["model"], "context": 64, "layers": 2, "width": 64, "heads": 2, "hidden": 128}
    values["pretrain"] = {"micro_batch": "auto", "batch": [[0.0, 16]], "logical_shards": 2, "replicas": 1, **pretrain}
    values["search"] = {"enabled": False}
    return configs.build(values)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 64), st.integers(1, 40), st.integers(0, 100))
def test_the_most_that_fits_is_taken(shard: int, room: int, fixed: int) -> None:
    sizes = sorted({min(2**i, shard) for i in range(8)})
    peaks = {size: fixed + size for size in sizes}
    found = fit.largest(peaks, room, shard)
    fits = [size for size in sizes if fixed + size <= room]
    assert found == (None if not fits else 0 if shard in fits else max(fits))


def test_a_probe_tells_the_peak_of_each_size_as_far_as_memory_goes() -> None:
    peaks = fit.measure(recipe(), 1 << 20, 500 << 20)
    sizes = list(peaks)
    assert sizes == [2**i for i in range(len(sizes))] and 1 << 20 not in peaks
    assert list(peaks.values()) == sorted(peaks.values())
    assert 100 << 20 < peaks[1] < peaks[sizes[-1]] < 1 << 30


def test_what_was_found_stays_while_shape_and_settings_do(monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter([4, 2])
    monkeypatch.setattr(fit, "probed", lambda config: next(found))
    first = fit.settle(recipe(), None)
    assert first.pretrain.micro_batch == 4
    assert fit.settle(recipe(replicas=2, memory_bytes=1 << 30), first).pretrain.micro_batch == 4
    assert fit.settle(recipe(batch=[[0.0, 32]]), first).pretrain.micro_batch == 2
    assert fit.settle(recipe(micro_batch=3), first).pretrain.micro_batch == 3


def test_a_replica_without_room_for_one_window_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"pretrain\.memory_bytes"):
        fit.probed(recipe(memory_bytes=100 << 20))


def test_the_probe_takes_the_share_of_a_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def measured(config: RunConfig, shard: int, room: int) -> dict[int, int]:
        asked.append((shard, room))
        return {1: room // 4, 2: room // 2, 4: room - 1, 8: room + 1}

    monkeypatch.setattr(fit, "measure", measured)
    monkeypatch.setattr(fit, "free_bytes", lambda: 10 << 30)
    assert fit.probed(recipe()) == 4
    config = recipe(replicas=2)
    fit.probed(config)
    assert [shard for shard, _ in asked] == [8, 8]
    assert asked[1][1] == (4 << 30) - fit.reserved(config.model, config.pretrain)
