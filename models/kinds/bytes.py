"""Byte-level BPE (GPT-2): the alphabet is the 256 bytes, so every text has ids and comes back as it was."""

import numpy as np
import tokenizers
from tokenizers import decoders, pre_tokenizers
from tokenizers.models import BPE

from models.kinds import bpe
from models.kinds.common import finish, numbered
from models.tokenizer import SPECIALS
from models.words import Words, byte_letters


def build(words: Words, size: int) -> tokenizers.Tokenizer:
    """Merges over bytes. Of equal counts those of bytes that print come first: the order of their letters."""
    first = [*SPECIALS, *sorted(byte_letters())]
    ids = numbered(first)
    data, lengths = words.bytes()
    symbols = np.array([ids[letter] for letter in byte_letters()], np.int32)[data]
    learnt = bpe.learn(symbols, lengths, words.counts, first, size)
    cut = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    return finish(BPE(numbered(learnt.tokens), learnt.pairs()), cut, decoders.ByteLevel())
