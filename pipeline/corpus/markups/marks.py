"""What several markups have: character references. Pure.

Every pattern of a markup reads its text in linear time, and is applied until it changes nothing, so it only takes
characters away: what an opening mark may enclose ends at the next such mark, or at an empty line.
"""

import html
import re

_ENTITY = re.compile(
    r"&(?:amp;)*(#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});"
)  # &amp;lt; was escaped twice


def entities(text: str) -> str:
    """Character references to characters; those that HTML does not define stay."""
    return _ENTITY.sub(lambda found: html.unescape(f"&{found[1]};"), text) if "&" in text else text
