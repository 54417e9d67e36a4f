"""Payment cards: an issuer's prefix and length, and Luhn's check digit (ISO/IEC 7812). Pure."""

import re
from collections.abc import Iterator

_CARD = re.compile(
    r"[2-6]\d{3}(?:([ -]?)\d{4}\1\d{4}\1\d{4}(?:\1\d{1,3})?|([ -]?)\d{6}\2\d{5}|([ -]?)\d{6}\3\d{4})(?![\w-]|\.\d| \d)"
)
_ISSUERS = (  # first digits, and how many there are in all (ISO/IEC 7812)
    (re.compile("4"), (16, 19)),
    (re.compile("5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),
    (re.compile("3[47]"), (15,)),
    (re.compile("30[0-5]|36|3[89]"), (14,)),
    (re.compile("6011|64[4-9]|65|62|35(?:2[89]|[3-8])"), (16, 17, 18, 19)),
    (re.compile("50(?:18|20|38)|5893|6304|6759|676[1-3]"), (16, 19)),
)


def spans(text: str) -> Iterator[tuple[int, int]]:
    """In one, or in the groups printed on the card."""
    for found in _CARD.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        issued = any(prefix.match(digits) and len(digits) in lengths for prefix, lengths in _ISSUERS)
        alone = not re.search(r"(?:[\w.+/#=-]|\d )\Z", text[max(0, found.start() - 2) : found.start()])
        if issued and alone and luhn(digits) and len(set(digits)) > 1:
            yield found.span()


def luhn(digits: str) -> bool:
    """Whether the last digit checks the others."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[::-2])) + sum(doubled)) % 10 == 0
