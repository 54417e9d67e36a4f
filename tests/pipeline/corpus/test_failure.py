"""Errors as text and back."""

from cluster.errors import CorruptPiece, FirstlightError, SourceError
from cluster.storage import DiskFull
from pipeline.corpus.failure import pack, unpack


def test_an_error_comes_back_as_itself() -> None:
    for error in (
        SourceError("corpus.sources.a.path", "x", "is not there", "Mend it"),
        CorruptPiece("p", "a" * 64, "b" * 64, "Go"),
    ):
        again = unpack(pack(error))
        assert type(again) is type(error) and str(again) == str(error) and vars(again) == vars(error)


def test_an_error_of_another_module_keeps_its_words() -> None:
    again = unpack(pack(DiskFull("no room left")))
    assert type(again) is FirstlightError and str(again) == "no room left"
