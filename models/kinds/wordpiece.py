"""WordPiece: the longest token that fits, from the left (Devlin et al. 2018, arXiv 1810.04805); a word that has no
tokens becomes <|unk|> as a whole, and so does one that is longer than a word that counts.

As in the `tokenizers` library the tokens are those of BPE's merges, where a token inside of a word begins with "##";
they are ours and exact, while its own training differs each time. A word keeps the blank before it, so all text comes
back but unknown words. Chinese characters stand alone, as in BERT; so does "#", or a text could say the mark.
"""

import numpy as np
import tokenizers
from tokenizers import Regex, decoders
from tokenizers.models import WordPiece

from models.kinds import bpe
from models.kinds.common import HAN, UNKNOWN, alphabet, finish, numbered
from models.tokenizer import SPECIALS
from models.words import LONGEST, Words, cutter

MARK = "##"


def build(words: Words, size: int) -> tokenizers.Tokenizer:
    """Ids: specials, <|unk|>, characters, those of them that were seen inside of a word, merges."""
    words = words.split(MARK[0]).split(HAN)
    base = [*SPECIALS, UNKNOWN]
    letters = alphabet(words, (size - len(base)) // 4)
    symbols, lengths = words.symbols({letter: i for i, letter in enumerate(letters)})
    inside = symbols >= 0
    inside[np.cumsum(lengths) - lengths] = False
    seen, places = np.unique(symbols[inside], return_inverse=True)
    first = base + letters + [MARK + letters[i] for i in seen.tolist()]
    symbols = np.where(symbols >= 0, symbols + len(base), symbols)
    symbols[inside] = len(base) + len(letters) + places
    learnt = bpe.learn(symbols, lengths, words.counts, first, size, prefix=MARK)
    model = WordPiece(
        numbered(learnt.tokens),
        unk_token=UNKNOWN,
        continuing_subword_prefix=MARK,
        max_input_chars_per_word=LONGEST,
    )
    return finish(
        model, cutter(MARK[0], HAN), decoders.Sequence([decoders.Replace(Regex(f"^{MARK}"), ""), decoders.Fuse()])
    )
