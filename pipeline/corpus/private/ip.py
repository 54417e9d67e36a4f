"""Global IPv4 and IPv6 addresses; neither versions nor the numbers of sections. Pure.

Those that standards reserve (127.0.0.1, 192.168.0.0/16, 2001:db8::/32) are nobody's, and stay.
"""

import ipaddress
import re
from collections.abc import Iterator

_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}(?![\w-]|\.\w)")
_IPV6 = re.compile(r"[23][0-9a-fA-F]{3}:(?:[0-9a-fA-F]{0,4}:){1,6}[0-9a-fA-F]{0,4}(?![\w:.]\w|\w)")
_NUMBERED = re.compile(
    r"(?:\bv(?:er(?:sion)?|\.)?|release|revision|build|section|sect?\.|chapter|clause|appendix|oid|table|figure|§|"
    r"[<>~!]=|==|[\w@]-|\b(?:python|kernel|linux|firefox|chrome|safari|opera|gecko)\b/?)[ \t]*\Z",
    re.IGNORECASE,
)  # what stands before a version or the number of a section
_ADDRESS = re.compile(
    r"(?:\b(?:ip(?:v4)?|addr(?:ess)?|host|server|client|peer|resolver|dns|from|to|ping|connect\w*|login|ban\w*|block\w*)"
    r"[\s:=(\[]{1,3}|//|@|\[)\Z",
    re.IGNORECASE,
)
_IN_USE = re.compile(r":\d|/(?:[89]|[12]\d|3[0-2])\b(?!/)| - - ")


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Those of version 4, then those of version 6."""
    for found in _IPV4.finditer(text):
        if not re.match(r"[\w.+-]", text[found.start() - 1 : found.start()]) and _is_address(text, found):
            yield found.span()
    for found in _IPV6.finditer(text):
        if not re.match(r"[\w:.-]", text[found.start() - 1 : found.start()]) and _global(found[0]):
            yield found.span()


def _is_address(text: str, found: re.Match[str]) -> bool:
    before = text[max(0, found.start() - 16) : found.start()]
    octets = [int(octet) for octet in found[0].split(".")]
    if max(octets) < 10 or _NUMBERED.search(before) or re.search(r"\.0\d", f".{found[0]}"):
        return False  # 1.2.3.4 is a version sooner than an address: those of one digit each are a few resolvers'
    if max(octets) < 100 and not (_ADDRESS.search(before) or _IN_USE.match(text, found.end())):
        return False  # so is 2.4.71.1, but where words say that it is an address; of all addresses 2 % are such
    return _global(found[0])


def _global(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if found.version == 6 and len([group for group in address.split(":") if group]) < 3:
        return False
    return found.is_global and not found.is_multicast
