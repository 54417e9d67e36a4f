"""Every config field says what it is, its unit, and whether it may change what is made."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from cluster.fields import EXECUTION, RESULT, mark_of, result_view
from pipeline import recipes
from pipeline.config import RunConfig
from pipeline.stages import JOURNEY


def leaves(
    kind: type[BaseModel], path: str = "", inherited: str | None = None
) -> Iterator[tuple[str, Any, str | None]]:
    for name, info in kind.model_fields.items():
        mark = mark_of(kind, name) or inherited
        here = f"{path}.{name}".lstrip(".")
        yield here, info, mark
        for part in (info.annotation, *get_args(info.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from leaves(part, here, mark)


FIELDS = list(leaves(RunConfig))


@pytest.mark.parametrize(("name", "info", "mark"), FIELDS, ids=[f[0] for f in FIELDS])
def test_a_field_explains_itself(name: str, info: Any, mark: str | None) -> None:
    assert info.description
    assert mark in (RESULT, EXECUTION)
    extra = info.json_schema_extra
    assert isinstance(extra, dict)
    assert extra.get("unit")


def execution_leaves(value: BaseModel, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name in type(value).model_fields:
        child = getattr(value, name)
        if mark_of(type(value), name) == EXECUTION:
            yield (*path, name)
        elif isinstance(child, BaseModel):
            yield from execution_leaves(child, (*path, name))


def changed(value: BaseModel, path: tuple[str, ...]) -> BaseModel:
    name, *rest = path
    child = getattr(value, name)
    new: Any
    if rest:
        new = changed(child, tuple(rest))
    elif isinstance(child, str):
        new = child + "x"
    elif isinstance(child, tuple):
        new = (*child, "x")
    elif isinstance(child, BaseModel):
        new = child.model_copy(update=dict.fromkeys(list(type(child).model_fields)[:1], "other"))
    else:
        new = child + 1
    return value.model_copy(update={name: new})


CONFIG = recipes.load("tiny", [])


@pytest.mark.parametrize("path", list(execution_leaves(CONFIG)), ids=".".join)
def test_an_execution_field_reruns_nothing(path: tuple[str, ...]) -> None:
    other = changed(CONFIG, path)
    assert isinstance(other, RunConfig)
    assert other != CONFIG
    inputs = {s.name: s.name for s in JOURNEY}
    for stage in JOURNEY:
        assert stage.fingerprint(other, inputs) == stage.fingerprint(CONFIG, inputs)


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ("corpus.max_record_bytes=2000000", "corpus"),
        ("search.windows=49", "search"),
        ("pretrain.tokens=1", "pretrain"),
        ("pretrain.logical_shards=2", "search"),
        ("finetune.epochs=9", "finetune"),
        ("reward.batch=4", "reward"),
        ("rlhf.iterations=21", "rlhf"),
        ("export.title='x'", "export"),
    ],
)
def test_a_result_field_reruns_what_depends_on_it_and_nothing_else(change: str, first: str) -> None:
    other = recipes.load("tiny", [change])
    inputs = {s.name: s.name for s in JOURNEY}
    moved = [s.name for s in JOURNEY if s.fingerprint(other, inputs) != s.fingerprint(CONFIG, inputs)]
    assert moved[0] == first
    downstream = {first}
    for stage in JOURNEY:
        if downstream & set(stage.inputs):
            downstream.add(stage.name)
    assert set(moved) <= downstream


def test_the_view_of_a_config_holds_no_execution_field() -> None:
    view = result_view(CONFIG)
    assert "cluster" not in view
    assert "replicas" not in view["pretrain"]
    assert view["pretrain"]["logical_shards"] == CONFIG.pretrain.logical_shards
