"""Web archives: pages with address and date; what holds no page is passed over, what is broken costs itself."""

import gzip
from collections import Counter
from pathlib import Path

import pytest

from pipeline import rows
from pipeline.corpus import inflate
from pipeline.corpus.extract import extract
from pipeline.corpus.locate import units
from pipeline.corpus.readers.config import Source
from pipeline.corpus.records import Raw
from tests.pipeline.corpus.readers.support import PACK, http, page, read, record, texts

PAGES = [page(f"Words of page {i}. " * 20, f"Page {i}").encode() for i in range(3)]
TEXTS = [f"Head\n\n{(f'Words of page {i}. ' * 20).strip()}" for i in range(3)]
GOOD = [record(http(body)) for body in PAGES]


def parsed(folder: Path, data: bytes, name: str = "a.warc", limit: int = 50_000) -> list[Raw]:
    (folder / name).write_bytes(data)
    return read(folder / name, "warc", limit=limit)


@pytest.mark.parametrize("suffix", PACK)
def test_pages_with_their_address_and_date(tmp_path: Path, suffix: str) -> None:
    info = record(b"software: x\r\n", "warcinfo", "application/warc-fields")
    data = (
        b"".join(PACK[suffix](part) for part in (info, *GOOD))
        if suffix != ".bz2"
        else PACK[suffix](b"".join([info, *GOOD]))
    )
    found = parsed(tmp_path, data, f"a.warc{suffix}")
    assert texts(found) == TEXTS
    raw = found[1]
    assert "meta" in raw and raw["id"] == rows.document_id("s", PAGES[1])
    url = f"https://example.org/{len(http(PAGES[1]))}"
    assert rows.facts_of(raw["meta"]) == {"url": url, "date": "2024-05-06T07:08:09Z", "title": "Page 1"}


def test_what_holds_no_page_is_passed_over_and_counted_by_cause(tmp_path: Path) -> None:
    others = [
        record(http(b"GIF89a", kind="image/gif")),
        record(http(PAGES[0], status="404 Not Found")),
        record(http(b"", status="301 Moved")),
        record(b"GET / HTTP/1.1\r\n\r\n", "request", "application/http; msgtype=request"),
        record(http(PAGES[0]), "revisit"),
        record(b"a: b", "metadata", "application/warc-fields"),
        record(b"x", "response", "text/dns"),
        record(b"\0" * 200_000, "resource", "video/mp4"),
        record(http(b"\0" * 200_000, kind="video/mp4")),
    ]
    others += [record(http(b"words", kind="text/plain")), record(b"HTTP/1.1 200 OK\nContent-Type: text/html\n\n<p>x")]
    (tmp_path / "a.warc").write_bytes(b"".join([*others, GOOD[0]]))
    source, over = Source(name="s", kind="warc", path=str(tmp_path)), Counter[str]()
    (unit,) = units([source], 10**6)
    assert texts(list(extract(source, unit, 50_000, over))) == TEXTS[:1]
    assert over == {
        "image/gif": 1, "HTTP status 404": 1, "HTTP status 301": 1, "records request": 1, "records revisit": 1,
        "records metadata": 1, "text/dns": 1, "video/mp4": 2, "text/plain": 1, "no media type": 1,
    }  # fmt: skip


def test_resources_and_conversions_are_pages(tmp_path: Path) -> None:
    data = record(PAGES[0], "resource", "text/html") + record("grüß\n".encode(), "conversion", "text/plain")
    assert texts(parsed(tmp_path, data)) == [TEXTS[0], "grüß\n"]


def test_pages_are_decoded_as_they_were_sent(tmp_path: Path) -> None:
    zipped = http(gzip.compress(PAGES[0]), more="Content-Encoding: gzip\r\n")
    body = f"{len(PAGES[1]):x}\r\n".encode() + PAGES[1] + b"\r\n0\r\n\r\n"
    chunked = http(body, more="Transfer-Encoding: chunked\r\n")
    latin = http(PAGES[2].replace(b"Words", b"W\xf6rter"), kind="text/html; charset=iso-8859-1")
    found = texts(parsed(tmp_path, record(zipped) + record(chunked) + record(latin)))
    assert found == [*TEXTS[:2], TEXTS[2].replace("Words", "Wörter")]


def test_a_bad_record_costs_itself(tmp_path: Path) -> None:
    bomb = gzip.compress(b"<p>" + b"\0" * 5_000_000)
    bad = [
        (record(http(b"<p>no gzip", more="Content-Encoding: gzip\r\n")), "bad_message"),
        (record(b"no HTTP at all"), "bad_message"),
        (GOOD[0].replace(b"WARC/1.0", b"WARC/\0"), "bad_message"),
        (record(http(b"<p>" + b"x" * 200_000)), "too_long"),
        (record(http(bomb, more="Content-Encoding: gzip\r\n")), "too_long"),
        (record(http(b"<div>" * 9_000)), "nested_too_deep"),
        (b"garbage\r\n\r\nmore\r\n", "broken_record"),
        (GOOD[0].replace(b"Content-Length", b"Content-Lxngth"), "broken_record"),
        (record(http(PAGES[0]), length=-5), "broken_record"),
    ]
    data = GOOD[1] + b"".join(part + GOOD[2] for part, _ in bad)
    found = parsed(tmp_path, data)
    expected = [TEXTS[1]] + [said for _, reason in bad for said in (reason, TEXTS[2])]
    assert texts(found) == expected
    raw = found[1]
    assert "reason" in raw and raw.get("where") == f"{tmp_path}/a.warc, byte {len(GOOD[1])}"


def test_a_bad_record_at_the_begin_costs_itself_too(tmp_path: Path) -> None:
    first = GOOD[0].replace(b"Content-Length", b"Content-Lxngth")
    assert texts(parsed(tmp_path, first + GOOD[1] + GOOD[2])) == ["broken_record", *TEXTS[1:]]


def test_a_record_said_to_be_shorter_than_it_is_costs_itself(tmp_path: Path) -> None:
    found = parsed(tmp_path, GOOD[0] + record(http(PAGES[1]), length=250) + GOOD[2])
    assert texts(found)[0] == TEXTS[0] and texts(found)[-2:] == ["broken_record", TEXTS[2]]


def test_a_file_cut_short_keeps_what_was_before(tmp_path: Path) -> None:
    data = b"".join(GOOD)
    for cut in (len(data) - 50, len(GOOD[0]) + len(GOOD[1]) + 30, len(GOOD[0]) + len(GOOD[1]) + len(GOOD[2]) // 2):
        assert texts(parsed(tmp_path, data[:cut])) == [*TEXTS[:2], "truncated"]
    zipped = b"".join(map(gzip.compress, GOOD))
    assert texts(parsed(tmp_path, zipped[:-30], "a.warc.gz")) == [*TEXTS[:2], "truncated"]
    assert texts(parsed(tmp_path, gzip.compress(data) + b"garbage", "a.warc.gz")) == [*TEXTS, "damaged"]


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    assert texts(parsed(tmp_path, b"words")) == ["not_warc"]
    assert texts(parsed(tmp_path, b"words", "a.warc.gz")) == ["not_gzip"]
    assert texts(parsed(tmp_path, gzip.compress(b"words"), "a.warc.gz")) == ["not_warc"]
    assert texts(parsed(tmp_path, b"")) == []


def test_a_record_without_an_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflate, "ENDLESS", 10_000_000)
    bomb = record(http(b"", more="X: y\r\n"), length=10**15)[:-4] + b"\0" * 20_000_000
    assert texts(parsed(tmp_path, gzip.compress(GOOD[0] + bomb), "a.warc.gz")) == [TEXTS[0], "endless"]
