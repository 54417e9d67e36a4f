"""What several kinds share: the ids that come first, the choice of characters, and the finish."""

import tokenizers
from tokenizers import decoders, pre_tokenizers
from tokenizers.models import Model

from models.tokenizer import SPECIALS
from models.words import Words

UNKNOWN = "<|unk|>"
HAN = r"\p{Han}"
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))  # the names that a fallback to bytes goes by
COVERAGE = 9_995  # of 10,000 characters of text, how many the alphabet covers at least, where there is room


def alphabet(words: Words, room: int) -> list[str]:
    """The most frequent characters that cover 99.95 % of the text, ``room`` at most, in the order of their bytes."""
    ranked = words.characters()
    missing = sum(count for _, count in ranked)
    most = missing * (10_000 - COVERAGE)  # of 10,000 times the text
    kept: list[str] = []
    for character, count in ranked[: max(0, room)]:
        if missing * 10_000 <= most:
            break
        kept.append(character)
        missing -= count
    return sorted(kept)


def finish(model: Model, cut: pre_tokenizers.PreTokenizer, decode: decoders.Decoder) -> tokenizers.Tokenizer:
    """A tokeniser of a model that has the special tokens at 0..3."""
    made = tokenizers.Tokenizer(model)
    made.pre_tokenizer = cut
    made.decoder = decode
    made.add_special_tokens([tokenizers.AddedToken(name, special=True, normalized=False) for name in SPECIALS])
    return made


def numbered(tokens: list[str]) -> dict[str, int]:
    """Tokens to ids, in order."""
    return {token: i for i, token in enumerate(tokens)}
