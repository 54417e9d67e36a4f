"""Word level: each word of the vocabulary is one token, any other word is <|unk|>. A character of Chinese is a word.

A word keeps the blank before it, so all text comes back but unknown words. (`word_zh` has longer Chinese words.)
"""

import tokenizers
from tokenizers import decoders
from tokenizers.models import WordLevel

from models.kinds.common import HAN, UNKNOWN, finish, numbered
from models.tokenizer import SPECIALS
from models.words import Words, cutter


def build(words: Words, size: int) -> tokenizers.Tokenizer:
    """Ids: specials, <|unk|>, the most frequent words."""
    base = [*SPECIALS, UNKNOWN]
    tokens = base + list(words.split(HAN).texts[: size - len(base)])
    return finish(WordLevel(numbered(tokens), unk_token=UNKNOWN), cutter(HAN), decoders.Fuse())
