"""LaTeX: commands, environments, formulas and comments."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.cleaning.config import CleaningConfig
from pipeline.corpus.markups.latex import undo

KEEP, DROP = CleaningConfig(math="keep"), CleaningConfig(math="drop")

PAPER = r"""\documentclass[11pt]{article} % the class
\usepackage{amsmath}
\newcommand{\R}{\mathbb{R}}
\begin{document}
\section*{The \emph{first} part}\label{sec:one}
A caf\'e, na\"{\i}ve, Erd\H{o}s, Stra\ss{}e, \c{c}a: 50\% of \textbf{all \textit{words}}~\cite{knuth}. % gone
``Quoted''---so it was, pp.~1--2\ldots
\begin{itemize}
  \item one \& two
  \item[b)] three \footnote{A note.}
\end{itemize}
We have $a_1 = \frac{1}{2}$ and
\begin{equation} x \in \R \end{equation}
\begin{verbatim}
if x % 2: \foo{bar}
\end{verbatim}
It costs 5\,000.
\end{document}
never seen
"""


def test_a_paper_becomes_its_text() -> None:
    text, dropped = undo(PAPER, KEEP)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    assert dropped == [] and lines == [
        "The first part",
        "A caf\u00e9, na\u00efve, Erd\u0151s, Stra\u00dfe, \u00e7a: 50% of all words. \u201cQuoted\u201d"
        "\u2014so it was, pp. 1\u20132\u2026",
        "- one & two",
        "- b)three A note.",
        r"We have $a_1 = \frac{1}{2}$ and",
        r"\begin{equation} x \in \R \end{equation}",
        r"\begin{verbatim}",
        r"if x % 2: \foo{bar}",
        r"\end{verbatim}",
        "It costs 5 000.",
    ]


def test_formulas_may_be_dropped() -> None:
    text, dropped = undo(PAPER, DROP)
    assert dropped == [("math", r"$a_1 = \frac{1}{2}$"), ("math", r"\begin{equation} x \in \R \end{equation}")]
    assert "frac" not in text and r"\foo{bar}" in text


@pytest.mark.parametrize(
    "text", ["", "no LaTeX: 5% of {it}, a & b", "only $x^2$ here % so", "cost $5 or $6", r"a \$5 note"]
)
def test_text_without_commands_is_no_latex(text: str) -> None:
    assert undo(text, KEEP) == (text, [])


def test_a_dollar_keeps_its_backslash_beside_formulas_only() -> None:
    assert undo(r"\emph{pay} \$5", KEEP)[0] == "pay $5"
    assert undo(r"\emph{pay} \$5 for $x$", KEEP)[0] == r"pay \$5 for $x$"


@pytest.mark.parametrize(
    "mark", [r"\[", r"\(", "$a", r"\begin{math}", r"\begin{verbatim}", r"\a{", "{", "\\", r"\item[", "%"]
)
def test_time_grows_with_the_text_and_no_faster(mark: str) -> None:
    """A quadratic rule would not come back."""
    undo(r"\x " + mark * (200_000 // len(mark)), KEEP)


PARTS = [*"{}$%~a \n\\", "\\emph{", "$x^2$", "\\$", "\\(", "\\)", "\\item ", "\\'e"]
PARTS += [f"\\{what}{{{name}}}" for what in ("begin", "end") for name in ("verbatim", "math", "document")]


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.lists(st.sampled_from(PARTS), max_size=20).map("".join)), st.sampled_from([KEEP, DROP]))
def test_a_second_time_changes_nothing(text: str, config: CleaningConfig) -> None:
    once, dropped = undo(text, config)
    assert all(reason == "math" for reason, _ in dropped)
    assert "%" in text or all(formula in text for _, formula in dropped)  # a comment in a formula goes before it
    assert undo(once, config) == (once, [])


@settings(max_examples=100, deadline=None)
@given(st.text("ab é京\n.,;"), st.sampled_from(["emph", "textbf", "section", "caption", "footnote"]))
def test_what_a_command_encloses_stays(text: str, command: str) -> None:
    assert undo(f"\\{command}{{{text}}}", KEEP)[0].strip() == text.strip()


@pytest.mark.parametrize("config", [KEEP, DROP])
def test_verbatim_text_in_a_formula_is_told_as_it_was_written(config: CleaningConfig) -> None:
    formula = "$\\begin{verbatim}a\\end{verbatim}$"
    text, dropped = undo(f"\\emph{{so}} {formula}", config)
    assert (text, dropped) == ((f"so {formula}", []) if config.math == "keep" else ("so ", [("math", formula)]))


@pytest.mark.parametrize("text", ["\\$\\@$0$$", "$x^2$\\begin{math}$\\'e$\n%0", "\\$\\begin{verbatim}{$\\@}$"])
def test_what_reads_as_a_formula_once_something_went_is_stable(text: str) -> None:
    once, _ = undo(text, KEEP)
    assert undo(once, KEEP) == (once, [])
