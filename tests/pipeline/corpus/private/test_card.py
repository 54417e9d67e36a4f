"""Payment cards: their check digit."""

import pytest

from pipeline.corpus.private.card import luhn


@pytest.mark.parametrize(("number", "valid"), [("4111111111111111", True), ("4111111111111112", False), ("0", True)])
def test_luhn(number: str, valid: bool) -> None:
    assert luhn(number) == valid
