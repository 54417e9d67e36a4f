"""LaTeX to the text that a reader sees. Pure; knows no source.

Comments, the preamble, labels, citations and formatting commands go; what a command encloses stays, a heading on a line
of its own; accents, quotes and dashes become characters. Formulas and verbatim text stay as they are written, with
their delimiters, or formulas are taken out. A text with no backslash outside of those is no LaTeX, and stays: so
cleaning twice is cleaning once. (A ``\\$`` keeps its backslash where formulas stay, to be told from theirs.)
"""

import re
import unicodedata

from pipeline.corpus.cleaning.config import CleaningConfig

_FORMULA = re.compile(
    r"(?<!\\)\$\$(?s:[^$]+?)\$\$|(?<![\\$])\$(?=[^\s$])(?:[^$\\\n]|\\.|\n(?!\n)){1,1000}(?<=[^\s\\])\$"
    r"|\\\[(?:[^\\]|\\[^\[\]])*+\\\]|\\\((?:[^\\]|\\[^()])*+\\\)"
    r"|\\begin\{(?P<math>(?:equation|align|gather|multline|eqnarray|displaymath|math)\*?)\}(?s:(?:(?!\\begin\{(?P=math)).)*?)\\end\{(?P=math)\}"
)
_VERBATIM = re.compile(
    r"\\begin\{(?P<code>verbatim|lstlisting|minted)\*?\}(?s:(?:(?!\\begin\{(?P=code)).)*?)\\end\{(?P=code)\*?\}"
)
_KEPT = re.compile("\x00(\\d+)\x00")
_BODY = re.compile(r"\\begin\{document\}(?s:(.*?))(?:\\end\{document\}|\Z)")
_COMMENT = re.compile(r"(?<!\\)%[^\n]*(?:\n[ \t]*)?")
_SILENT = re.compile(
    r"~?\\(?:label|(?:eq|page|auto|c)?ref|[cC]ite\w*|nocite|usepackage|documentclass|bibliography\w*|includegraphics"
    r"|input|include|v?h?space|begin|end|pagestyle|thispagestyle|newcommand|renewcommand|setlength|hline|cline"
    r"|color|vskip|hskip)(?![a-zA-Z])\*?(?:\[[^\[\]\n]*\])*(?:\{[^{}]*\})*(?:\[[^\[\]\n]*\])?"
)
_HEADING = re.compile(
    r"\\(?:part|chapter|(?:sub)*section|(?:sub)?paragraph|title|caption)\*?(?:\[[^\[\]\n]*\])?\{([^{}]*)\}"
)
_ACCENT = re.compile(r"\\([`'^\"~=.]|[cvuHk](?=[ {]))(?:\{\\?([a-zA-Z])\}|[ ]?\\?([a-zA-Z]))")
_UNWRAP = re.compile(r"\\[a-zA-Z]+\*?(?:\[[^\[\]\n]*\])?\{([^{}]*)\}")
_COMMAND = re.compile(r"\\[a-zA-Z]+\*?[ \t]?")
_ITEM = re.compile(r"\\item\b[ \t]*(?:\[([^\[\]\n]*)\])?[ \t]*")
_BLANK = re.compile(r"\\[,;:\s]")
_NOTHING = re.compile(r"\\[!/@-]")
_ESCAPED = re.compile(r"\\([%#_])")
_MARKS = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307",
    "c": "\u0327", "v": "\u030c", "u": "\u0306", "H": "\u030b", "k": "\u0328",
}  # fmt: skip
_NAMED = {
    "ss": "\u00df", "ae": "\u00e6", "AE": "\u00c6", "oe": "\u0153", "OE": "\u0152", "o": "\u00f8", "O": "\u00d8",
    "aa": "\u00e5", "AA": "\u00c5", "l": "\u0142", "L": "\u0141", "i": "i", "ldots": "\u2026", "dots": "\u2026",
    "S": "\u00a7", "P": "\u00b6", "copyright": "\u00a9", "pounds": "\u00a3", "textasciitilde": "\u223c",
    "LaTeX": "LaTeX", "TeX": "TeX",
}  # fmt: skip
_SYMBOL = re.compile(rf"\\({'|'.join(sorted(_NAMED, key=len, reverse=True))})(?![a-zA-Z])(?:\{{\}}|[ \t])?")
_DEPTH = 20  # of commands in commands, and of passes; deeper ones lose their braces all the same


def undo(text: str, config: CleaningConfig) -> tuple[str, list[tuple[str, str]]]:
    """The text, and the formulas that were taken out of it, where ``math`` is ``drop``.

    What is left may read as LaTeX once more, where something between two dollars went: until nothing changes.
    """
    dropped: list[tuple[str, str]] = []
    for _ in range(_DEPTH):
        before = text
        text = _undone(before, config, dropped)
        if text == before:
            break
    return text, dropped


def _undone(text: str, config: CleaningConfig, dropped: list[tuple[str, str]]) -> str:
    if "\\" not in _FORMULA.sub("", _VERBATIM.sub("", text)).replace(r"\$", ""):
        return text
    kept: list[str] = []  # what stays as it is written; a mark stands for it meanwhile, as commands may enclose it

    def written(text: str) -> str:
        return _KEPT.sub(lambda found: kept[int(found[1])], text)

    def keep(found: re.Match[str]) -> str:
        kept.append(written(found[0]))  # verbatim text may stand in a formula
        return f"\x00{len(kept) - 1}\x00"

    def drop(found: re.Match[str]) -> str:
        dropped.append(("math", written(found[0])))
        return ""

    body = _BODY.search(text)
    text = _COMMENT.sub("", _VERBATIM.sub(keep, body[1] if body else text))
    text = _FORMULA.sub(keep if config.math == "keep" else drop, text)
    dollar = r"\$" if any("$" in formula for formula in kept) else "$"
    return written(_plain(text).replace("\x03", dollar))


def _plain(text: str) -> str:
    for escaped, mark in (
        (r"\\", "\n"),
        (r"\{", "\x01"),
        (r"\}", "\x02"),
        (r"\$", "\x03"),
        (r"\&", "\x04"),
        ("&", " "),
    ):
        text = text.replace(escaped, mark)
    text = _ESCAPED.sub(r"\1", _NOTHING.sub("", _BLANK.sub(" ", text)))
    text = _SYMBOL.sub(lambda found: _NAMED[found[1]], _ACCENT.sub(_accented, text))
    text = _ITEM.sub(lambda found: f"\n- {found[1] or ''}", _SILENT.sub("", text))
    for _ in range(_DEPTH):
        before = text
        text = _UNWRAP.sub(r"\1", _HEADING.sub(r"\n\n\1\n\n", text))
        if text == before:
            break
    text = _COMMAND.sub("", text).replace("{", "").replace("}", "").replace("\\", "")
    for written, mark in (("~", " "), ("---", "\u2014"), ("--", "\u2013"), ("``", "\u201c"), ("''", "\u201d")):
        text = text.replace(written, mark)
    return text.replace("\x01", "{").replace("\x02", "}").replace("\x04", "&")


def _accented(found: re.Match[str]) -> str:
    return unicodedata.normalize("NFC", (found[2] or found[3]) + _MARKS[found[1]])
