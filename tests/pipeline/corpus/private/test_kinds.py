"""Each kind of private fact is a module of that name, which says where a text has one."""

import importlib

import pytest

from pipeline.corpus.cleaning.config import PRIVATE

FACTS = {
    "email": "ann@firma24.de",
    "iban": "DE89 3704 0044 0532 0130 00",
    "card": "4111 1111 1111 1111",
    "ip": "93.184.216.34",
    "phone": "+44 20 7946 0958",
}


@pytest.mark.parametrize("kind", PRIVATE)
def test_a_kind_is_found_by_its_name_and_finds_its_facts(kind: str) -> None:
    spans = importlib.import_module(f"pipeline.corpus.private.{kind}").spans
    assert list(spans(f"it is {FACTS[kind]}, so")) == [(6, 6 + len(FACTS[kind]))]
    assert list(spans("plain words, no. 7")) == []
