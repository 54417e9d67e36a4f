"""E-mail addresses with a public domain. Those that standards reserve (example.org) are nobody's, and stay. Pure."""

import re
from collections.abc import Iterator

_LOCAL = re.compile(r"[^\W](?:[\w.%+'-]*[\w+-])?\Z")
_DOMAIN = re.compile(r"(?:[^\W_](?:[^\W_]|-){0,62}\.){1,8}[^\W\d_]{2,24}(?![\w@]|-\w)")
_REMOTE = re.compile(r":[\w.~/-]*/")  # git@host:path/of.git
_NO_DOMAIN = re.compile(
    r"(?:service|socket|target|timer|mount|slice|scope|png|jpe?g|gif|svg|webp|js|css|json|html|conf|txt|gz"
    r"|example|invalid|test|localhost|local|localdomain|internal|lan)\Z",
    re.IGNORECASE,
)  # files as icon@2x.png, units as getty@tty1.service, and names that no public zone has (RFC 2606, RFC 6762)
_RESERVED = re.compile(r"(?:.*\.)?example\.(?:com|org|net)\Z", re.IGNORECASE)


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Angle brackets around an address, and ``mailto:``, belong to it."""
    end, at = 0, text.find("@")
    while at >= 0:
        local = _LOCAL.search(text[max(end, at - 65) : at])
        domain = _DOMAIN.match(text, at + 1)
        if local and domain and len(local[0]) <= 64 and _is_public(text, domain):
            start = at - len(local[0])
            end = domain.end()
            if text[max(0, start - 7) : start].lower() == "mailto:":
                start -= 7
            if text[start - 1 : start] == "<" and text[end : end + 1] == ">":
                start, end = start - 1, end + 1
            yield start, end
        at = text.find("@", at + 1)


def _is_public(text: str, domain: re.Match[str]) -> bool:
    if _NO_DOMAIN.match(domain[0].rpartition(".")[2]) or _RESERVED.match(domain[0]):
        return False
    return not _REMOTE.match(text, domain.end())
