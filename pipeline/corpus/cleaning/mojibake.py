"""The only door to ftfy, past a neighbour that breaks it. Knows nothing else.

``typical``, which comes with the package of the plays, installs ``future_typing``: at the start of every interpreter
that registers a codec which answers to *any* unknown name, so ftfy's own codecs, registered later, are never asked and
its import fails. Its promise is only for source files that name it in a cookie; we run none, so it is unregistered.
"""

import codecs
import sys

_NO_CODEC = "firstlight-no-such-codec"

if (_hijacker := sys.modules.get("future_typing.codec")) is not None:
    for _ in range(8):  # it may have been registered more than once; each call takes one away
        try:
            codecs.lookup(_NO_CODEC)
        except LookupError:
            break
        codecs.unregister(_hijacker.search_function)

import ftfy  # noqa: E402
import ftfy.badness  # noqa: E402

_CONFIG = ftfy.TextFixerConfig(  # bytes decoded wrongly, and nothing else: width, quotes and ligatures are the author's
    unescape_html=False,
    uncurl_quotes=False,
    fix_latin_ligatures=False,
    fix_character_width=False,
    fix_line_breaks=False,
    remove_terminal_escapes=False,
    remove_control_chars=False,
    normalization=None,
)


def undo(text: str) -> str:
    """The text as it was before it was decoded wrongly; unchanged where ftfy's detector suspects nothing."""
    return ftfy.fix_text(text, _CONFIG) if ftfy.badness.is_bad(text) else text
