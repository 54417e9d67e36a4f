"""HTML: main content and title, characters as they were written, and pages that would take all time and memory."""

import time
from pathlib import Path

import pytest

from pipeline import rows
from pipeline.corpus.readers import pages
from tests.pipeline.corpus.readers.support import page, read, reasons, texts

WORDS = "Some words that stand on the page. " * 5


def test_main_content_and_title(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(page(WORDS, "The title"))
    (tmp_path / "b.htm").write_text(page("<p>Other words."))
    (tmp_path / "c.txt").write_text("no page")
    first, second = read(tmp_path, "html")
    assert "text" in first and first["text"].split("\n\n") == ["Head", WORDS.strip()]
    assert "meta" in first and rows.facts_of(first["meta"]) == {"title": "The title"}
    assert first["id"] == rows.document_id("s", page(WORDS, "The title").encode())
    assert second["text"].endswith("Other words.")


def test_words_between_elements_of_form_stay(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(page("both <b>x</b> and <i class='a>b'>y</i>, <code>z</code>; then"))
    assert texts(read(tmp_path, "html"))[0].endswith("both x and y, z; then")


@pytest.mark.parametrize(
    ("encoding", "meta", "mark"),
    [
        ("utf-8", "", b""),
        ("utf-8", "latin1", b""),
        ("cp1252", "iso-8859-1", b""),
        ("koi8-r", "KOI8-R", b""),
        ("koi8-r", "", b""),
        ("utf-16-le", "", b"\xff\xfe"),
        ("utf-8", "banana", b"\xef\xbb\xbf"),
        ("utf-8", "utf-16", b""),
    ],
)
def test_characters_are_as_they_were_written(encoding: str, meta: str, mark: bytes) -> None:
    words = "Größe und Maß, déjà vu, naïve" if encoding in ("cp1252", "utf-8") else "Это просто текст на странице"
    head = f'<meta http-equiv="Content-Type" content="text/html; charset={meta}">' if meta else ""
    body = mark + f"<html>{head}<p>{words * 20}".encode(encoding)
    if (encoding, meta) == ("utf-8", "latin1"):
        assert words.encode().decode("cp1252", errors="replace")[:5] in pages.decoded(body)  # as a browser shows it
    else:
        assert words in pages.decoded(body)


def test_the_server_has_the_word_before_the_page() -> None:
    body = "<meta charset=utf-8><p>Größe".encode("latin-1")
    assert "Größe" in pages.decoded(body, "iso-8859-1") and "Größe" in pages.decoded(body, "banana")


def test_a_page_without_content_and_one_that_is_no_text(tmp_path: Path) -> None:
    for i, body in enumerate((b"", b"<html><script>words</script>", b"<p></p>")):
        (tmp_path / f"{i}.html").write_bytes(body)
    assert reasons(read(tmp_path, "html")) == ["no_content"] * 3


N = 50_000
MONSTERS = {
    "deep": "<div>" * N,
    "deep and closed": "<div>" * N + "words" + "</div>" * N,
    "closed by others": "<div></b></object></p>" * (N // 4),  # the parser looks for the p in all of the stack
    "closed in vain": "<div><object></div></object>" * N,
    "form": "".join(f"<font size={i}><p>" for i in range(N)),
    "form that is not closed": "".join(f"<font size={i}><object></font></object><p>" for i in range(N)),
    "form with much to say": "".join(f"<font class={'x' * 250}{i}><p>" for i in range(N // 12)),
    "identical form": "<b><p>" * N,
    "links": "".join(f"<a href={i}><div>" for i in range(N)),
    "tables": "<table><tr><td>" * N,
    "tables and form": "".join(f"<table><nobr id={i}>" for i in range(N)),
    "lists": "<ul><li>x" * N,
    "select": "<select><option>" * N,
    "svg": "<svg><g>" * N,
    "template": "<template>" * N,
    "frames": "<frameset>" * N,
    "attributes": "<p " + " ".join(f"a{i}=1" for i in range(4 * N)) + ">words",
    "attributes in quotes": "<p " + " ".join(f"a{i}='>'" for i in range(2 * N)) + ">words",
    "comments": "<!--" * N + "<!-- -->" * N,
    "quotes": '<b "' * N,
    "entities": "&amp;" * N + "&" * N,
    "headings": "<h1>" * N,
    "buttons": "<button>" * N,
    "math": "<math><mi>" * N,
    "spans": "<span>" * 500 + "<i>" * N,
    "paragraphs": "<p>words" * N,
    "blanks": " \n" * N + "<p>" * N,
    "nul": "\0" * N + "<\0>" * N,
}


@pytest.mark.parametrize("name", MONSTERS)
def test_monstrous_pages_take_no_quadratic_time(name: str) -> None:
    """Each is up to a megabyte and takes a second or less; without their bounds, minutes and gigabytes."""
    start = time.process_time()
    found = list(pages.read("s", MONSTERS[name][:1_000_000].encode(), "id", "byte 0"))
    assert set(reasons(found)) <= {"nested_too_deep", "too_many_attributes", "no_content"}
    assert time.process_time() - start < 60


def test_what_nests_too_deep_is_set_aside(tmp_path: Path) -> None:
    for depth, reason in ((pages.DEEPEST - 9, []), (pages.DEEPEST + 1, ["nested_too_deep"])):
        (tmp_path / "a.html").write_text("<div>" * depth + page(WORDS) + "</div>" * depth)
        assert reasons(read(tmp_path, "html")) == reason
