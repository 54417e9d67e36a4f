"""Character level: each character is one token; one outside the vocabulary is <|unk|>. All else comes back."""

import tokenizers
from tokenizers import decoders
from tokenizers.models import BPE

from models.kinds.common import UNKNOWN, finish, numbered
from models.tokenizer import SPECIALS
from models.words import Words, cutter


def build(words: Words, size: int) -> tokenizers.Tokenizer:
    """Ids: specials, <|unk|>, the most frequent characters."""
    base = [*SPECIALS, UNKNOWN]
    tokens = base + [character for character, _ in words.characters()][: size - len(base)]
    return finish(BPE(numbered(tokens), [], unk_token=UNKNOWN), cutter(), decoders.Fuse())
