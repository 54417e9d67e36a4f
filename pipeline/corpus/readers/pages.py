"""Web pages: the bytes of one to its main content and title, by resiliparse. Shared by readers.

Two things make its parser slow and large. Elements of form (b, font, i ...) that are not closed are copied into every
paragraph behind them (HTML standard, 13.2.4.3), in number quadratic; as they mean nothing to a text, their tags go
first, or become spans where they are very long. This also keeps the words between two of them, some of which the
extraction else loses. And the extraction looks at all ancestors of each element: a page that nests deeper than browsers
let one (512) is set aside, and so is one with a tag of more attributes than any writer needs.
"""

import codecs
import re
from collections.abc import Iterator
from typing import Any

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5
from resiliparse.parse.html import HTMLParserException, HTMLTree

from pipeline.corpus import records
from pipeline.corpus.records import Raw
from pipeline.rows import Row

DEEPEST = 512
MOST_ATTRIBUTES = 1_000

_NAMES = r"(?:b|big|code|em|font|i|s|small|strike|strong|tt|u)"
_ATTRIBUTES = r"""(?:[^<>"']{1,200}+|"[^"]{0,999}"|'[^']{0,999}'){0,20}+"""
_FORM = re.compile(rf"<(?=[/bcefistu])(/?){_NAMES}(?:>|[\s/](?:{_ATTRIBUTES}>)?)", re.IGNORECASE)
_LONG_TAG = re.compile(rf"<[a-z][^<>]{{{4 * MOST_ATTRIBUTES},}}", re.IGNORECASE)
_DEEP = ">".join("*" * DEEPEST)  # a selector: an element with so many ancestors
_META = re.compile(rb"<meta[^>]{0,999}?charset\s*=\s*[\"']?\s*([a-zA-Z0-9_:.-]{2,40})", re.IGNORECASE)
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class Unusable(Exception):
    """A page that gives no text: the reason."""


def read(source: str, body: bytes, document: str, where: str, charset: str = "", **facts: Any) -> Iterator[Raw]:
    """The document of a page, whose title is one of its facts. ``charset`` is what the server said it is written in."""
    try:
        text, title = extracted(decoded(body, charset))
    except Unusable as error:
        yield records.unreadable(source, document, str(error), 0, body, where)
        return
    said = {name: value for name, value in {"title": title, **facts}.items() if value}
    yield Row(id=document, source=source, text=text, meta=records.pack(said))


def decoded(body: bytes, charset: str = "") -> str:
    """A page's characters. Its byte order mark says how it is written, else the server, else it says so itself.

    Where what is said does not fit, the first of UTF-8 and a guess that does. Raises Unusable.
    """
    server = map_encoding_to_html5(charset, False)
    own = _META.search(body[:1024])
    itself = map_encoding_to_html5(own[1].decode(), False) if own else None
    if itself and itself.startswith("utf-16"):
        itself = None  # it could not say so in UTF-16
    said = [name for name in (server, itself) if name]
    marks = [name for mark, name in _MARKS if body.startswith(mark)]
    for name in [*marks, *said, "utf-8", ""]:
        try:
            return body.decode(name or detect_encoding(body) or "utf-8").removeprefix("\ufeff")
        except UnicodeError:
            pass
    raise Unusable("undecodable")


def extracted(page: str) -> tuple[str, str]:
    """The main content of a page, as text with paragraphs and lists, and its title. Raises Unusable."""
    for tag in _LONG_TAG.finditer(page):
        if len(tag[0].split()) > MOST_ATTRIBUTES:
            raise Unusable("too_many_attributes")
    try:
        tree = HTMLTree.parse(_FORM.sub(_formless, page))
    except HTMLParserException as error:
        raise Unusable("not_html") from error
    if page.count("<") > DEEPEST and tree.document and tree.document.query_selector(_DEEP) is not None:
        raise Unusable("nested_too_deep")
    text = extract_plain_text(tree, main_content=True, alt_texts=False)
    if not text.strip():
        raise Unusable("no_content")
    return text, (tree.title or "").strip()


def _formless(tag: re.Match[str]) -> str:
    return "" if tag[0].endswith(">") else f"<{tag[1]}span "
