"""Emoji and emoticons to words in parentheses. Pure.

The names are the English ones of Unicode's CLDR, as the ``emoji`` package has them: its version, which fixes the
Unicode version, is one of those that the stage's fingerprint covers.
"""

import re

import emoji

_PICTURE = "\u231a\u231b\u23e9-\u23f3\u2600-\u27bf\u2b1b\u2b1c\u2b50\u2b55\U0001f000-\U0001faff"  # shown as pictures
_JOINS = "\u200d\ufe0f\u20e3\U000e0020-\U000e007f"
_ANY = re.compile(f"[\ufe0f{_PICTURE}]")
_RUN = re.compile(f"(?:[^\\s]\ufe0f|[{_PICTURE}{_JOINS}])+")

_MOUTHS = {
    ")": "smiling face", "]": "smiling face", "(": "frowning face", "[": "frowning face", "D": "grinning face",
    "P": "face with tongue", "p": "face with tongue", "O": "surprised face", "o": "surprised face",
    "/": "unsure face", "\\": "unsure face", "|": "neutral face", "*": "kissing face",
}  # fmt: skip
_OTHERS = {
    "<3": "heart", "</3": "broken heart", "^_^": "smiling face", "^^": "smiling face", "-_-": "annoyed face",
    "xD": "laughing face", "XD": "laughing face", "o_O": "puzzled face", "O_o": "puzzled face", "T_T": "crying face",
}  # fmt: skip
_FACE = re.compile(r"([:;=])(?<!\S.)('?)-?(\)+|\(+|[\][/\\|*DPpOo])(?!\S)")
_SIGNS = {"=": "/\\|*[]", ";": "/\\|*[(Oo"}  # "=/" is no face
_OTHER = re.compile(rf"(?<!\S)(?:{'|'.join(map(re.escape, _OTHERS))})(?!\S)")


def name_emoji(text: str) -> str:
    """Emoji to their names; signs that are also text (``(c)``, arrows) stay unless a selector makes them pictures."""
    return _RUN.sub(_named, text) if _ANY.search(text) else text


def _named(run: re.Match[str]) -> str:
    return emoji.replace_emoji(run[0], _name) if _ANY.search(run[0]) else run[0]


def _name(_: str, facts: dict[str, str]) -> str:
    return f"({facts['en'].strip(':').replace('_', ' ')})"


def name_emoticons(text: str) -> str:
    """``:-)`` to ``(smiling face)``, only where it stands between blanks."""
    text = _FACE.sub(_face, text)
    return _OTHER.sub(lambda found: f"({_OTHERS[found[0]]})", text) if any(o in text for o in _OTHERS) else text


def _face(found: re.Match[str]) -> str:
    eyes, tear, mouth = found[1], found[2], found[3][0]
    if mouth in _SIGNS.get(eyes, ""):
        return found[0]
    if eyes == ";":
        return "(winking face)"
    return "(crying face)" if tear and mouth in "([" else f"({_MOUTHS[mouth]})"
