"""International bank account numbers (ISO 13616): country, its length, and the check digits modulo 97. Pure."""

import re
from collections.abc import Iterator

_IBAN = re.compile(r"[A-Z]{2}\d{2}[ -]?[A-Z0-9]{4}")
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FO FI GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK",
        21: "CH CR HR LI LV", 22: "BG BH DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
"""ISO 13616's registry: characters of an IBAN by country."""


def spans(text: str) -> Iterator[tuple[int, int]]:
    """In one, or in groups that blanks or hyphens part."""
    for found in _IBAN.finditer(text):
        start = found.start()
        length = _IBAN_LENGTHS.get(found[0][:2])
        if length is None or text[start - 1 : start].isalnum():
            continue
        end, characters = start, ""
        while len(characters) < length and end < len(text):
            if text[end].isalnum() and text[end].isascii():
                characters += text[end]
            elif text[end] not in " -" or not text[end + 1 : end + 2].isalnum():
                break
            end += 1
        if len(characters) == length and not text[end : end + 1].isalnum() and _mod_97(characters.upper()) == 1:
            yield start, end


def _mod_97(iban: str) -> int:
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97
