"""Byte-level BPE: any text to ids and back. Knows no chat layout (models/chat.py) and no files.

The four special tokens have the ids 0..3 and are written by id only: their strings inside a text are encoded as the
ordinary characters that they are, so that no document can end itself or speak as somebody else.
"""

import json
from collections.abc import Iterable
from typing import Self

import tokenizers
from tokenizers import decoders, pre_tokenizers, trainers
from tokenizers.models import BPE

SPECIALS = ("<|pad|>", "<|end|>", "<|user|>", "<|assistant|>")
SMALLEST_VOCAB = len(SPECIALS) + 256  # every byte has an id, so every text has ids


class Tokenizer:
    """Encode and decode. <|end|> closes a document and an assistant turn."""

    pad_id, end_id, user_id, assistant_id = range(len(SPECIALS))

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self._backend = backend
        self._backend.encode_special_tokens = True  # special strings in a text are text; not kept in the JSON
        found = [backend.token_to_id(special) for special in SPECIALS]
        if found != list(range(len(SPECIALS))):
            raise ValueError(f"special tokens {SPECIALS} must have the ids 0..3, got {found}")

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> Self:
        """Learn merges from the texts. Digits stay single, words are cut as in GPT-2, nothing is normalised.

        The vocabulary may end smaller than asked where the texts have no more pairs. ValueError below 260.
        """
        if vocab_size < SMALLEST_VOCAB:
            raise ValueError(f"vocab_size must be at least {SMALLEST_VOCAB} (specials and bytes), got {vocab_size}")
        backend = tokenizers.Tokenizer(BPE())
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=list(SPECIALS),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        backend.train_from_iterator(texts, trainer)
        return cls(backend)

    @classmethod
    def load(cls, json_text: str) -> Self:
        """From `to_json`. Raises ValueError where the text is no tokenizer with our special tokens."""
        try:
            backend = tokenizers.Tokenizer.from_str(json_text)
        except Exception as error:  # the library raises plain Exception
            raise ValueError(f"not a tokenizer: {error}") from error
        return cls(backend)

    def to_json(self) -> str:
        """The tokenizers library's JSON, readable by others; equal tokenizers give equal text."""
        return json.dumps(json.loads(self._backend.to_str()), ensure_ascii=False, indent=1)

    @property
    def vocab_size(self) -> int:
        """Number of ids, specials included."""
        return self._backend.get_vocab_size(with_added_tokens=True)

    def encode(self, text: str) -> list[int]:
        """Ids of a text; never a special id."""
        return self._backend.encode(text, add_special_tokens=False).ids

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """`encode` of each text, in order, on the library's threads."""
        return [encoding.ids for encoding in self._backend.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids: list[int], specials: bool = False) -> str:
        """Text of ids. Special tokens are left out unless asked for; bytes that are not UTF-8 become U+FFFD."""
        return self._backend.decode(ids, skip_special_tokens=not specials)
