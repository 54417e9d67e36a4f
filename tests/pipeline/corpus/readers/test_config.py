"""Settings of a source: what is refused, with the field and a remedy."""

import importlib
from typing import Any, get_args

import pytest

from cluster.errors import ConfigError
from pipeline.corpus.readers.config import PACKAGED, Kind, Source


def source(**values: Any) -> Source:
    return Source.model_validate({"name": "s", "kind": "jsonl", "path": "x", **values})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"path": ""}, r"s\.path.*needs a path"),
        ({"text_field": "body"}, r's\.text_field.*fields = \{ text = "body" \}'),
        ({"fields": {"id": "id"}}, "fields.*no field is the text"),
        ({"fields": {"text": "text", "turns": "x"}}, "fields.*turns"),
        ({"fields": {"text": "text", "A": "x"}}, "fields.*small letters"),
        ({"fields": {"text": ""}}, "fields.*not empty"),
        ({"kind": "html", "fields": {"text": "body"}}, r"s\.fields.*kind html has no fields"),
        *(
            ({"kind": kind, "markup": "html"}, rf"s\.markup = 'html': .*none of kind {kind}.*entities")
            for kind in sorted({*get_args(Kind)} - {"html", "warc"})
        ),
        ({"rules": ("gopher", "gopher")}, "rules.*once"),
        ({"rules": ("../x",)}, "rules.*name of a family"),
    ],
)
def test_what_cannot_be_used_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        source(**values)


def test_a_packaged_kind_needs_no_path() -> None:
    for kind in PACKAGED:
        assert source(kind=kind, path="").fields == {"text": "text"}


@pytest.mark.parametrize("kind", get_args(Kind))
def test_each_kind_has_its_reader(kind: str) -> None:
    assert callable(importlib.import_module(f"pipeline.corpus.readers.{kind}").read)
