"""Word level for Chinese: like `word`, but jieba (extra ``zh``) cuts runs of Han characters while words are chosen.

A tokenizer.json cannot hold jieba, and need not: the words chosen stand in its pre-tokeniser, the longest first, so the
finished file cuts a run from the left into the longest words of its vocabulary, and single characters between them. It
does so everywhere, here and after export. jieba's own dictionary is used without its model for new words, so what is
chosen depends on the text and on jieba's version only.
"""

from collections.abc import Callable, Iterable
from itertools import groupby

import tokenizers
from tokenizers import Regex, decoders, pre_tokenizers
from tokenizers.models import WordLevel

from models.kinds.common import HAN, UNKNOWN, finish, numbered
from models.tokenizer import SPECIALS
from models.words import Words, cutter

_BLOCK = 64  # first characters under one look-ahead: a flat list of words would be searched from end to end


def build(words: Words, size: int) -> tokenizers.Tokenizer:
    """Ids: specials, <|unk|>, the most frequent words. ImportError without jieba."""
    import jieba

    segmenter = jieba.Tokenizer()
    segmenter.FREQ, segmenter.total = segmenter.gen_pfdict(segmenter.get_dict_file())  # not from a cache in /tmp
    segmenter.initialized = True
    return assemble(words, size, lambda run: segmenter.cut(run, HMM=False))


def assemble(words: Words, size: int, segment: Callable[[str], Iterable[str]]) -> tokenizers.Tokenizer:
    """The tokeniser for a given way to cut a run of Han characters."""
    other = pre_tokenizers.Split(Regex(HAN), "removed")

    def cut(word: str) -> Iterable[str]:
        return [word] if other.pre_tokenize_str(word) else segment(word)

    words = words.split(f"{HAN}+").cut(cut)
    base = [*SPECIALS, UNKNOWN]
    chosen = list(words.texts[: size - len(base)])
    han = [word for word in chosen if len(word) > 1 and not other.pre_tokenize_str(word)]
    return finish(WordLevel(numbered(base + chosen), unk_token=UNKNOWN), cutter(_longest_first(han)), decoders.Fuse())


def _longest_first(words: Iterable[str]) -> str:
    """An expression for the longest of some words, or else one Han character."""
    rests = {first: [word[1:] for word in group] for first, group in groupby(sorted(words), key=lambda word: word[0])}
    firsts = list(rests)
    blocks = []
    for block in (firsts[i : i + _BLOCK] for i in range(0, len(firsts), _BLOCK)):
        options = (f"{first}(?:{'|'.join(sorted(rests[first], key=lambda w: (-len(w), w)))})" for first in block)
        blocks.append(f"(?=[{''.join(block)}])(?:{'|'.join(options)})")
    return "|".join([*blocks, HAN])
