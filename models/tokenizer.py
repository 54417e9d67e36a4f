"""Any text to ids and back, whatever kind of vocabulary it is. Knows no chat layout (models/chat.py) and no files.

Special tokens are written by id only: their strings inside a text are encoded as the ordinary characters that they
are, so that no document can end itself or speak as somebody else.
"""

import importlib
import json
import re
from collections.abc import Iterable
from typing import Any, Self

import tokenizers
from tokenizers import Regex, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE

SPECIALS = ("<|pad|>", "<|end|>", "<|user|>", "<|assistant|>")
SMALLEST_VOCAB = len(SPECIALS) + 256  # every byte has an id, so every text has ids
LONGEST = 1 << 18  # characters that are encoded at once: the library takes up to 240 bytes for each
_SEAM = re.compile(r"(?<=\w) (?=\S)")  # a single space after a word: tokens begin there, in every kind that we know


class Tokenizer:
    """Encode and decode. <|end|> closes a document and an assistant turn."""

    # Of the vocabularies that we train; an instance has the ids of its own.
    pad_id, end_id, user_id, assistant_id = range(len(SPECIALS))

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        """Raises ValueError where a special token has no id, or where its string in a text would become it."""
        self._backend = backend
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = True  # special strings in a text are text; the JSON and a pickle forget it
        ids = [i for i in map(backend.token_to_id, SPECIALS) if i is not None]
        if len(ids) < len(SPECIALS):
            raise ValueError(f"not all of {SPECIALS} have an id: a foreign vocabulary gets them by Tokenizer.adopt")
        self.pad_id, self.end_id, self.user_id, self.assistant_id = ids
        spoken = _spoken(backend)
        if spoken:
            raise ValueError(f"{spoken} inside a text would become special tokens")
        self.vocab_size: int = max(backend.get_vocab(with_added_tokens=True).values()) + 1
        """Number of ids, specials included."""
        self.unknown_id = _unknown(backend)
        """The id of what the vocabulary cannot say, or None where it can say everything."""
        self._space = self._at_a_seam()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).load, (self._backend.to_str(),)

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> Self:
        """Learn byte-level BPE. Digits stay single, words are cut as in GPT-2, nothing is normalised.

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
        return cls(_backend(json_text))

    @classmethod
    def adopt(cls, json_text: str, end: str | None = None) -> Self:
        """A foreign tokenizer.json as one of ours.

        ``end`` names its token that ends a text, which becomes <|end|> and keeps its id; special tokens of ours that
        it does not have follow its own ids. What it would add around a text, cut or pad is left out. Raises ValueError.
        """
        found = json.loads(_backend(json_text).to_str())
        found |= {"truncation": None, "padding": None, "post_processor": None}
        if end not in (None, SPECIALS[1]):
            _rename(found, str(end), SPECIALS[1])
        for token in found["added_tokens"]:
            if token["content"] in SPECIALS:
                token |= {"special": True, "normalized": False, "lstrip": False, "rstrip": False, "single_word": False}
        backend = _backend(json.dumps(found))
        backend.add_special_tokens(list(SPECIALS))
        backend.encode_special_tokens = True
        spoken = _spoken(backend)
        if spoken:  # the model holds their strings as words: cut each after its first character
            cuts = "|".join(f"{re.escape(s[0])}(?={re.escape(s[1:])})" for s in spoken)
            cut = pre_tokenizers.Split(Regex(cuts), "isolated")
            before = backend.pre_tokenizer
            backend.pre_tokenizer = pre_tokenizers.Sequence([cut, before]) if before else cut
        ids = list(backend.get_vocab(with_added_tokens=True).values())
        if len(set(ids)) < len(ids):
            raise ValueError("the ids of this vocabulary have gaps, which our special tokens would collide with")
        return cls.load(backend.to_str())

    @classmethod
    def imported(cls, form: str, data: bytes, end: str | None = None, **options: str) -> Self:
        """From a file of another library: a module of models/vocabularies by its name. Raises ValueError."""
        leaf = importlib.import_module(f"models.vocabularies.{form}")
        return cls.adopt(leaf.load(data, **options), end)

    def to_json(self) -> str:
        """The tokenizers library's JSON, readable by others; equal tokenizers give equal text."""
        return json.dumps(json.loads(self._backend.to_str()), ensure_ascii=False, indent=1)

    @property
    def kind(self) -> str:
        """What the model is called in the JSON: BPE, WordPiece, Unigram or WordLevel."""
        return type(self._backend.model).__name__

    def encode(self, text: str) -> list[int]:
        """Ids of a text; never a special id."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """`encode` of each text, in order, on the library's threads."""
        if all(len(text) <= LONGEST for text in texts):
            return [encoding.ids for encoding in self._backend.encode_batch_fast(texts, add_special_tokens=False)]
        return [[i for part in self.parts(text) for i in self.encode_batch([part])[0]] for text in texts]

    def parts(self, text: str) -> list[str]:
        """A text in parts of at most ``LONGEST`` characters, whose ids, end to end, are those of the text.

        It is cut at a space after a word, where the ids do not change; a longer run without one, where it stands.
        """
        parts, at, start = [], 0, ""
        while len(start) + len(text) - at > LONGEST:
            most = at + LONGEST - len(start)
            seam = max((m.start() for m in _SEAM.finditer(text, most - LONGEST // 8, most)), default=most)
            parts.append(start + text[at:seam])
            start, at = ("", seam) if seam == most else (self._space, seam + 1)
        return [*parts, start + text[at:]]

    def _at_a_seam(self) -> str:
        """What the part after a cut begins with: nothing where the kind itself puts a space before each text."""
        whole, one, kept, left_out = self.encode_batch(["one two", "one", " two", "two"])
        return "" if whole == one + left_out != one + kept else " "

    def decode(self, ids: list[int], specials: bool = False) -> str:
        """Text of ids. Special tokens are left out unless asked for; bytes that are not UTF-8 become U+FFFD."""
        return self._backend.decode(ids, skip_special_tokens=not specials)


def _backend(json_text: str) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer.from_str(json_text)
    except Exception as error:  # the library raises plain Exception
        raise ValueError(f"not a tokenizer: {error}") from error


def _spoken(backend: tokenizers.Tokenizer) -> list[str]:
    """The special tokens that a text could say: a model that holds whole words may hold theirs."""
    specials = {token.content: i for i, token in backend.get_added_tokens_decoder().items() if token.special}
    unknown = _unknown(backend)
    said = []
    for special, i in specials.items():
        texts = [special, f"a {special} b", f"a{special}b", " ".join(f"a{special}b")]
        whole = [i in e.ids for e in backend.encode_batch_fast(texts, add_special_tokens=False)]
        if any(whole[:3]) and not (i == unknown and whole[3]):  # a text of unknown letters is unknown, and rightly so
            said.append(special)
    return said


def _unknown(backend: tokenizers.Tokenizer) -> int | None:
    token = getattr(backend.model, "unk_token", None)
    if token is not None:
        return backend.token_to_id(token)
    found = json.loads(backend.to_str())["model"].get("unk_id") if type(backend.model).__name__ == "Unigram" else None
    return None if found is None else int(found)


def _rename(found: dict[str, Any], old: str, new: str) -> None:
    """Give a token of a tokenizer.json another name. Raises ValueError."""
    model, added = found["model"], {token["content"] for token in found["added_tokens"]}
    vocab = model["vocab"]
    names = added | set(vocab if isinstance(vocab, dict) else (piece for piece, _ in vocab))
    if old not in names or new in names:
        raise ValueError(f"{old!r} cannot become {new!r}: " + (f"there is {new!r} already" if new in names else "none"))
    if isinstance(vocab, dict):
        model["vocab"] = {new if piece == old else piece: i for piece, i in vocab.items()}
    else:
        model["vocab"] = [[new if piece == old else piece, score] for piece, score in vocab]
    if model.get("unk_token") == old:
        model["unk_token"] = new
    for token in found["added_tokens"]:
        if token["content"] == old:
            token["content"] = new
