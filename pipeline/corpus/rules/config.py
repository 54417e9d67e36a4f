"""Thresholds of the families of rules; docs/corpus-rules.md says what each measures and where it comes from.

A rule is turned off by a threshold that nothing can pass: 0 for a least value, above 1 for a largest share.
"""

from typing import Literal

from cluster.fields import Config, execution, result


def _share(default: float, description: str) -> float:
    value: float = result(default, description, unit="fraction", ge=0, le=2)
    return value


class BasicConfig(Config):
    """Loose rules for small corpora, code and conversations."""

    min_words: int = result(2, "Fewest words of a document", unit="words", ge=0)
    min_speakers: int = result(2, "Fewest speakers of a conversation", unit="speakers", ge=0)
    max_foreign: float | None = result(
        None,
        "Largest share of letters outside the Latin script; left open, 0.3 for the kinds that come with a package, and "
        "off for all others",
        unit="fraction",
        ge=0,
        le=1,
    )
    max_digits: float = result(0.25, "Largest share of digits among visible characters", unit="fraction", ge=0, le=1)
    min_letters: float = result(0.4, "Smallest share of letters among visible characters", unit="fraction", ge=0, le=1)
    max_repeated_lines: float = result(
        0.5, "Largest share of characters in repeated lines", unit="fraction", ge=0, le=1
    )
    max_word_share: float = result(
        0.25, "Largest share of one word among all, from 20 words", unit="fraction", ge=0, le=1
    )
    max_table: float = result(0.3, "Largest share of characters in lines of one shape", unit="fraction", ge=0, le=1)
    max_word_length: float = result(20.0, "Largest mean length of a word", unit="characters", ge=1)


class C4Config(Config):
    """The rules of C4 (arXiv 1910.10683, section 2.2)."""

    terminal_mark: bool = result(True, "Whether lines that do not end as a sentence does are cut", unit="none")
    min_line_words: int = result(5, "Fewest words of a line; a shorter one is cut", unit="words", ge=0)
    max_word_length: int = result(
        1_000, "A line with a longer word is cut (the released code's rule)", unit="characters", ge=1
    )
    javascript: bool = result(True, "Whether lines that name Javascript are cut", unit="none")
    policy: bool = result(True, "Whether lines about cookies, privacy and terms of use are cut", unit="none")
    citations: bool = result(True, "Whether marks such as [1] and [citation needed] are taken out", unit="none")
    lorem_ipsum: bool = result(True, "Whether documents with the phrase lorem ipsum are dropped", unit="none")
    curly_bracket: bool = result(True, "Whether documents with a curly bracket are dropped", unit="none")
    scope: Literal["page", "lines"] = result(
        "page",
        "Where those two are looked for: on the page, as the paper says, or in its lines that would stay, as the "
        "released code does",
        unit="none",
    )
    min_sentences: int = result(3, "Fewest sentences in the lines that stay", unit="sentences", ge=0)
    bad_words: str = execution(
        "",
        "A text file of words and phrases, one a line; a document that holds one is dropped. Off where empty: no list "
        "comes with this. What the file holds counts, not its name",
        unit="none",
    )


class GopherQualityConfig(Config):
    """The quality rules of Gopher (arXiv 2112.11446, section A1.1)."""

    min_words: int = result(50, "Fewest words of a document", unit="words", ge=0)
    max_words: int = result(100_000, "Most words of a document", unit="words", ge=1)
    min_word_length: float = result(3.0, "Smallest mean length of a word", unit="characters", ge=0)
    max_word_length: float = result(10.0, "Largest mean length of a word", unit="characters", ge=1)
    max_hashes: float = result(0.1, "Most hash symbols for each word", unit="symbols a word", ge=0)
    max_ellipses: float = result(0.1, "Most ellipses for each word", unit="symbols a word", ge=0)
    max_bullet_lines: float = _share(0.9, "Largest share of lines that begin with a bullet point")
    max_ellipsis_lines: float = _share(0.3, "Largest share of lines that end with an ellipsis")
    min_alphabetic: float = _share(0.8, "Smallest share of words with a letter")
    marks_are_words: bool = result(False, "Whether punctuation marks count among the words of the shares", unit="none")
    min_stop_words: int = result(2, "Fewest different stop words", unit="words", ge=0)
    stop_words: tuple[str, ...] = result(
        ("the", "be", "to", "of", "and", "that", "have", "with"), "The stop words, in lower case", unit="none"
    )


class GopherRepetitionConfig(Config):
    """The repetition rules of Gopher (arXiv 2112.11446, table A1)."""

    repeated_lines: float = _share(0.3, "Largest share of lines that stood there before")
    repeated_paragraphs: float = _share(0.3, "Largest share of paragraphs that stood there before")
    repeated_line_characters: float = _share(0.2, "Largest share of characters in such lines")
    repeated_paragraph_characters: float = _share(0.2, "Largest share of characters in such paragraphs")
    top_2_gram: float = _share(0.2, "Largest share of characters in the most frequent 2-gram")
    top_3_gram: float = _share(0.18, "Largest share of characters in the most frequent 3-gram")
    top_4_gram: float = _share(0.16, "Largest share of characters in the most frequent 4-gram")
    repeated_5_grams: float = _share(0.15, "Largest share of characters in 5-grams that stood there before")
    repeated_6_grams: float = _share(0.14, "Largest share of characters in 6-grams that stood there before")
    repeated_7_grams: float = _share(0.13, "Largest share of characters in 7-grams that stood there before")
    repeated_8_grams: float = _share(0.12, "Largest share of characters in 8-grams that stood there before")
    repeated_9_grams: float = _share(0.11, "Largest share of characters in 9-grams that stood there before")
    repeated_10_grams: float = _share(0.1, "Largest share of characters in 10-grams that stood there before")


class FineWebConfig(Config):
    """The rules of FineWeb (arXiv 2406.17557, section 3.6)."""

    min_ended_lines: float = _share(0.12, "Documents with this share or less of lines that end in a mark are dropped")
    max_repeated_characters: float = _share(0.1, "Documents with this share or more of characters in repeated lines")
    max_short_lines: float = _share(0.67, "Documents with this share or more of short lines are dropped")
    short_line: int = result(30, "A line of fewer characters is short", unit="characters", ge=0)
    max_newlines: float = result(
        2.0, "Newlines for each word from which a document is dropped; not in the paper, off", unit="newlines", ge=0
    )


class RulesConfig(Config):
    """Each family's thresholds; ``sources.rules`` says which families judge a source."""

    basic: BasicConfig = result(BasicConfig(), "Loose rules of our own", unit="none")
    c4: C4Config = result(C4Config(), "C4", unit="none")
    gopher_quality: GopherQualityConfig = result(GopherQualityConfig(), "Gopher, quality", unit="none")
    gopher_repetition: GopherRepetitionConfig = result(GopherRepetitionConfig(), "Gopher, repetition", unit="none")
    fineweb: FineWebConfig = result(FineWebConfig(), "FineWeb", unit="none")
