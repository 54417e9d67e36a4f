"""BPE over characters with a fallback to bytes (as in Llama): a character outside the alphabet becomes its UTF-8 bytes.

Every text comes back as it was. Blanks are ordinary characters; nothing is put in their place.
"""

import tokenizers
from tokenizers import decoders
from tokenizers.models import BPE

from models.kinds import bpe
from models.kinds.common import BYTES, alphabet, finish, numbered
from models.tokenizer import SPECIALS
from models.words import Words, cutter


def build(words: Words, size: int) -> tokenizers.Tokenizer:
    """Ids: specials, the 256 bytes, characters (at most half of what is left), merges."""
    base = [*SPECIALS, *BYTES]
    first = base + alphabet(words, (size - len(base)) // 2)
    letters = {token: i for i, token in enumerate(first) if i >= len(base)}
    learnt = bpe.learn(*words.symbols(letters), words.counts, first, size)
    model = BPE(numbered(learnt.tokens), learnt.pairs(), byte_fallback=True)
    return finish(model, cutter(), decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()]))
