r"""tiktoken's rank files: a token in base64 and its rank on each line. The pattern that cuts text is not in the file.

The patterns are those that were published with GPT-2, GPT-4 (cl100k_base) and GPT-4o (o200k_base), without possessive
quantifiers: in the regular expressions of tokenizer.json, ``{1,3}+`` means something else.
"""

import base64
import binascii
import re

import tokenizers
from tokenizers import Regex, decoders, pre_tokenizers
from tokenizers.models import BPE

from models.vocabularies.merges import last_merge

_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_UPPER, _LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
PATTERNS = {
    "gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": _CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + _SPACES,
    "o200k": rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+{_CONTRACTION}?"
    rf"|[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*{_CONTRACTION}?"
    rf"|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACES}",
}
PATTERNS |= {"r50k": PATTERNS["gpt2"], "p50k": PATTERNS["gpt2"]}
_WORD = re.compile(r"[\w.-]*")  # a name, and no expression that would cut text


def load(data: bytes, pattern: str = "cl100k") -> str:
    """tokenizer.json with the same ids. ``pattern``: a name of ``PATTERNS``, also with _base, or a regular expression.

    Special tokens are no part of a rank file. Raises ValueError.
    """
    ranks = _ranks(data)
    letters = _letters()
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing:
        raise ValueError(f"a rank file has a token for every byte; {len(missing)} are missing, the first {missing[0]}")
    name = pattern.removesuffix("_base")
    if name not in PATTERNS and _WORD.fullmatch(pattern):
        known = ", ".join(sorted(PATTERNS))
        raise ValueError(f"file_pattern = {pattern!r} is no known pattern: take {known}, or write a regular expression")
    pattern = PATTERNS.get(name, pattern)
    if re.search(r"\{\d+(,\d*)?\}\+|\$", pattern):
        raise ValueError(
            f"{pattern!r}: '{{1,3}}+' and '$' mean other things in tokenizer.json: write '{{1,3}}' and '\\z'"
        )
    try:
        split = pre_tokenizers.Split(Regex(pattern), "isolated")
    except Exception as error:  # the library raises plain Exception
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error

    def spelt(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    merges = []
    for token in sorted(ranks, key=ranks.__getitem__):
        made = last_merge([token[i : i + 1] for i in range(len(token))], ranks)
        if made:
            merges.append((spelt(made[0]), spelt(made[1])))
    vocab = {spelt(token): rank for token, rank in ranks.items()}
    backend = tokenizers.Tokenizer(BPE(vocab, merges, ignore_merges=True))  # a whole word that is a token is taken
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, whole])
    backend.decoder = decoders.ByteLevel()
    return backend.to_str()


def _ranks(data: bytes) -> dict[bytes, int]:
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error):
            raise ValueError(f"line {number} of the rank file is no token in base64 and its rank") from None
    if len(set(ranks.values())) < len(ranks):
        raise ValueError("two tokens of the rank file have one rank")
    return ranks


def _letters() -> list[str]:
    """The character that stands for each byte in byte-level vocabularies: itself where it can be seen (GPT-2)."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in seen else next(others)) for byte in range(256)]
