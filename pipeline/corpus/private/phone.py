"""Phone numbers in running text: E.164, North American and European forms. Pure.

A form must show itself: a country code after ``+`` or ``00``, the shape of North America, or the trunk 0 of Europe with
separators. Any other run of digits counts only after a word such as "phone". Dates, versions, ISBNs, sums and columns
of numbers are none of these, and stay.
"""

import re
from collections.abc import Iterator

_COUNTRY = re.compile(
    r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|(?:2[1-689]|3[578]|42|5[09]|6[789]|8[0578]|9[679])\d"
)  # ITU-T E.164, codes that are assigned
_MORE = r"(?:(?: ?\(|\)[ -]?|[ ./-])\d{1,12})"  # each further group begins with what parts it, so matching is linear
_FORM = re.compile(
    r"[+(0-9](?<![\w+.,:;/#=$%*^)\\-].)(?:"
    rf"(?<=\+)(?P<plus>[1-9]\d{{0,14}}{_MORE}{{0,6}})"
    rf"|(?<=0)(?P<zeros>0[1-9]\d{{0,2}}[ ./-]\(?\d{{1,12}}\)?{_MORE}{{1,5}})"
    r"|(?<=1)(?P<north>[-. ]\(?[2-9]\d\d\)?[-. ]\d{3}[-. ]\d{4})"
    r"|(?<=[2-9])(?P<area>\d\d([-.])\d{3}\5\d{4})"
    r"|(?<=\()(?P<bracket>[2-9]\d\d\)[ -]?\d{3}[-. ]\d{4})"
    r"|(?<=\()(?P<trunk>0[1-9]\d{0,4}\) ?\d{2,8}(?:[ /-]\d{2,8}){0,3})"
    r"|(?<=0)(?P<national>[1-9]\d{0,4}(?:[ ./-]\d{2,8}){1,4}))"
)
_AFTER = re.compile(r"[\w+%]|[-./:,]\d| \d")
_IN_COLUMN = re.compile(r"(?:\d|\b[\da-f]{2})[ \t]\Z")  # of a table, or a hex dump
_ANY = re.compile(r"[(0-9](?<![\w+.,/#=$%*^-].)[\d()./ -]{5,17}\d(?![\w%]|[-./:,]\d)")
_SAID = re.compile(
    r"\b(?:tel|tele?phone|phone|ph|fax|mobile|mob|cell|cellphone|whatsapp|handy|telefon|tel[eé]fono|t[eé]l|t[eé]l[eé]phone|gsm"
    r"|móvil|mobil|telefax)\b[.)]?(?:\s{0,3}(?:number|no\b|nr\b|num\b|is|at|was|\(\w{1,10}\)|[:=#.-]))*\s{0,3}\Z",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"\b(?:call|dial|ring|contact|reach|text|sms|phone)(?:\s(?:me|us|him|her|them|now|at|on|or|free|toll-free))*:?\s\Z",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"\b(?:isbn|issn|doi|arxiv|rfc|bug|ticket|order|invoice|serial|part|model|id|no\.?|nr\.?|sha|crc)\W{0,3}(?:1[03]\W{0,3})?\Z",
    re.IGNORECASE,
)
_DATE = re.compile(r"(?:\d{1,2}[./ -]\d{1,2}[./ -](?:19|20)\d\d|(?:19|20)\d\d[./ -]\d{1,2}[./ -]\d{1,2})(?!\d)")
_ZIP = re.compile(r"\d{5}-\d{4}")
_DECIMAL = re.compile(r"\d+\.\d+")
_LIMITS = frozenset({"2147483647", "2147483648", "4294967295", "4294967296"})


def spans(text: str) -> Iterator[tuple[int, int]]:
    """In no particular order; two may overlap."""
    yield from (found.span() for found in _FORM.finditer(text) if _is_phone(text, found))
    yield from (found.span() for found in _ANY.finditer(text) if _is_said(text, found))


def _is_phone(text: str, found: re.Match[str]) -> bool:
    before = text[max(0, found.start() - 16) : found.start()]
    digits = re.sub(r"\D", "", found[0])
    form = found.lastgroup
    if _AFTER.match(text, found.end()) or _OTHER.search(before) or _DATE.match(found[0]):
        return False
    if form not in ("plus", "bracket") and _IN_COLUMN.search(before):
        return False
    if form in ("plus", "zeros"):
        return _international(found[0].lstrip("+"), digits.removeprefix("00"))
    if form == "national":
        return (
            9 <= len(digits) <= 11 and not _ZIP.fullmatch(found[0]) and _grouped(re.sub(r"\d", "", found[0]), found[0])
        )
    return 9 <= len(digits) <= 12


def _international(written: str, digits: str) -> bool:
    apart = not written.isdigit()
    if (
        not (8 if apart else 10) <= len(digits) <= 15
        or digits in _LIMITS
        or "000 000" in written
        or _DECIMAL.fullmatch(written)
    ):
        return False
    if digits[0] == "1":
        return len(digits) == 11 and digits[1] in "23456789"
    return bool(_COUNTRY.match(digits)) and written.count("(") == written.count(")")


def _grouped(parts: str, written: str) -> bool:
    """Whether separators are those of a phone: one kind after the first; dots only between pairs."""
    if "." in parts:
        return set(parts) == {"."} and all(len(group) == 2 for group in written.split("."))
    return "/" not in parts[1:] and len(set(parts[1:])) <= 1


def _is_said(text: str, found: re.Match[str]) -> bool:
    """Whether words before a run of digits say that it is a phone number."""
    before = text[max(0, found.start() - 40) : found.start()]
    said = _SAID.search(before)
    if not said and not (_ASKED.search(before) and re.search(r"\d[ -]\d", found[0])):
        return False
    digits = re.sub(r"\D", "", found[0])
    return 7 <= len(digits) <= 15 and not _DATE.match(found[0]) and found[0].count("(") == found[0].count(")")
