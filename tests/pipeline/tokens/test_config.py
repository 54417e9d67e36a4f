"""The documents name every setting, with its default."""

import re
from pathlib import Path

from cluster.fields import Config
from pipeline.corpus.rules.config import BasicConfig
from pipeline.tokens.compare import KINDS
from pipeline.tokens.config import TokensConfig

DOCS = Path(__file__).parents[3] / "docs"


def named(document: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", (DOCS / document).read_text()))


def fields(config: type[Config]) -> set[str]:
    return set(config.model_fields)


def test_every_setting_of_the_tokens_stage_stands_in_its_document() -> None:
    assert fields(TokensConfig) | set(KINDS) <= named("tokens.md")


def test_every_rule_of_our_own_stands_in_its_document() -> None:
    own = (DOCS / "corpus-rules.md").read_text().split("| **basic**")[1].split("\n| **c4**")[0]
    assert fields(BasicConfig) == set(re.findall(r"`(m\w+)`", own))
