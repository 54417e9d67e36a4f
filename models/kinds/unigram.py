"""Unigram (Kudo 2018, arXiv 1804.10959), trained by sentencepiece from counted words, with a fallback to bytes.

On one thread sentencepiece makes the same pieces from the same words each time, so the stage can be recomputed (on one
type of CPU: its expectations are sums in 32-bit floating point). Every text comes back as it was.
"""

import io
import tempfile
from itertools import groupby

import sentencepiece
import tokenizers
from tokenizers import decoders
from tokenizers.models import Unigram

from models.kinds.common import BYTES, UNKNOWN, alphabet, finish
from models.kinds.seeds import LONGEST, seeds
from models.tokenizer import SPECIALS
from models.words import Words, cutter

BLANK = "\u2581"  # sentencepiece's own sign for a blank
SEEDS = 1_000_000
_CONTROL = (*range(0x20), 0x7F)  # they would end a line or a column of its input
_TRAVEL = {code: 0xF0000 + code for code in _CONTROL} | {ord(" "): ord(BLANK)}
_RETURN = {to: code for code, to in _TRAVEL.items()}


def build(words: Words, size: int) -> tokenizers.Tokenizer:
    """Ids: specials, <|unk|>, the 256 bytes, pieces. What is no piece is given the score of the unlikeliest piece."""
    base = [*SPECIALS, UNKNOWN, *BYTES]
    letters = frozenset(alphabet(words, (size - len(base)) // 2)) - {chr(code) for code in _RETURN}
    pieces = _train(words.cut(lambda word: _known(word, letters)), size - len(base), letters)
    lowest = min((score for _, score in pieces), default=0.0)
    model = Unigram([*((token, lowest) for token in base), *pieces], unk_id=len(SPECIALS), byte_fallback=True)
    return finish(model, cutter(), decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()]))


def _known(word: str, letters: frozenset[str]) -> list[str]:
    """The parts of a word between characters that are not of the alphabet."""
    return ["".join(part) for known, part in groupby(word, letters.__contains__) if known]


def _train(words: Words, pieces: int, letters: frozenset[str]) -> list[tuple[str, float]]:
    """At most so many pieces with their log probabilities."""
    words = Words([_hidden(text) for text in words.texts], words.counts)
    if not words.texts:
        return []
    lines = (f"{text}\t{count}" for text, count in zip(words.texts, words.counts.tolist(), strict=True))
    model = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".tsv", newline="\n") as begin:
        begin.writelines(f"{text}\t{weight}\n" for text, weight in seeds(words, SEEDS))
        begin.flush()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines,
            model_writer=model,
            input_format="tsv",
            model_type="unigram",
            vocab_size=pieces + 1,  # with its own unknown
            hard_vocab_limit=False,
            num_threads=1,
            seed_sentencepieces_file=begin.name,
            required_chars=_hidden("".join(sorted(letters))),
            max_sentencepiece_length=LONGEST,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            split_by_unicode_script=False,
            split_by_number=False,
            split_by_whitespace=False,
            allow_whitespace_only_pieces=True,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            minloglevel=2,
        )
    made = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    found = ((made.id_to_piece(i), made.get_score(i)) for i in range(1, made.get_piece_size()))
    return [(piece.translate(_RETURN), round(score, 6)) for piece, score in found]  # so many digits survive JSON


def _hidden(text: str) -> str:
    return text.translate(_TRAVEL)
