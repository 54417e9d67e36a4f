"""Settings of the corpus stage that would do nothing are refused."""

from typing import Any

import pytest

from cluster.errors import ConfigError
from cluster.fields import EXECUTION, mark_of
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.leaks.config import DecontaminateConfig
from pipeline.corpus.near.config import DedupConfig
from pipeline.corpus.substring.config import SubstringConfig


def config(part: str, settings: dict[str, Any], *rules: str) -> CorpusConfig:
    source = {"name": "s", "kind": "text", "path": "x", "rules": rules}
    return CorpusConfig.model_validate({"sources": [source], part: settings})


@pytest.mark.parametrize(
    ("part", "settings", "field"),
    [
        ("rules", {"gopher_quality": {"min_words": 9}}, "corpus.rules.gopher_quality.min_words"),
        ("rules", {"basic": {"max_foreign": 0.3}}, "corpus.rules.basic.max_foreign"),
        ("signals", {"toxicity": {"max_toxicity": 0.5}}, "corpus.signals.toxicity.max_toxicity"),
        ("signals", {"quality": {"learner": {"epochs": 9}}}, "corpus.signals.quality.learner"),
    ],
)
def test_a_setting_of_a_family_that_no_source_names_is_refused(part: str, settings: dict[str, Any], field: str) -> None:
    family = field.split(".")[2]
    with pytest.raises(ConfigError) as caught:
        config(part, settings, "c4", "language")
    for told in (field, "no source names this family", f'Add "{family}" to the rules of a source'):
        assert told in str(caught.value)
    assert config(part, settings, "c4", family)


def test_a_setting_at_its_default_is_none() -> None:
    assert config("rules", {"gopher_quality": {"min_words": 50}}, "c4") == config("rules", {}, "c4")


def test_what_only_warns_changes_no_result() -> None:
    for section in (DedupConfig, SubstringConfig, DecontaminateConfig):
        assert mark_of(section, "max_loss") == EXECUTION
