"""SentencePiece's .model files, Unigram and BPE, with or without byte fallback. Needs sentencepiece and protobuf.

The ids are those of SentencePiece, but for three things that the tokenizers library does otherwise. Of segmentations
that are equally likely ("aa" + "a", "a" + "aa") rounding picks one, in 32 bits there and in 64 bits here. Under NFKC,
marks that stand in another than the canonical order, or on a ligature, are composed. And where a Unigram model's text
holds the name of a special token or of a byte ("</s>", "<0x41>"), it is cut after the "<", so that it stays text.
"""

import importlib
from typing import Any

import tokenizers
from tokenizers import AddedToken, Regex, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE, Unigram

from models.vocabularies.merges import last_merge

SPACE = "▁"
_NFKC = ("nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf")
_INSIDE = r"(?<=.)(?=[\p{M}\x{200c}\x{200d}\x{ff9e}\x{ff9f}])|(?<=\r)(?=\n)"
_UNIGRAM, _BPE = 1, 2  # TrainerSpec.ModelType
_NORMAL, _UNKNOWN, _CONTROL, _USER, _UNUSED = 1, 2, 3, 4, 5  # SentencePiece.Type


def load(data: bytes) -> str:
    """tokenizer.json with the same ids. Raises ValueError for what it cannot say the same way."""
    proto = _parse(data)
    spec, trainer = proto.normalizer_spec, proto.trainer_spec
    words = [p.piece for p in proto.pieces if p.type in (_NORMAL, _USER)]
    _check(proto)
    fallback, unknown = bool(trainer.byte_fallback), next(i for i, p in enumerate(proto.pieces) if p.type == _UNKNOWN)
    if trainer.model_type == _UNIGRAM:
        model: Any = Unigram([(p.piece, p.score) for p in proto.pieces], unknown, fallback)
    else:
        vocab = {p.piece: i for i, p in enumerate(proto.pieces)}
        unk = proto.pieces[unknown].piece
        model = BPE(vocab, _merges(proto), unk_token=unk, fuse_unk=True, byte_fallback=fallback)
    backend = tokenizers.Tokenizer(model)
    backend.normalizer = _normalizer(spec)
    cuts: list[Any] = []
    if trainer.model_type == _UNIGRAM and fallback:  # it would find the names of bytes in a text
        cuts.append(pre_tokenizers.Split(Regex("<(?=0x[0-9A-F]{2}>)"), "isolated"))
    if all(SPACE not in word.lstrip(SPACE) for word in words):  # no piece crosses a space: words can be cut, and cached
        cuts.append(pre_tokenizers.Split(Regex(f"{SPACE}*[^{SPACE}]+|{SPACE}+"), "isolated"))
    if cuts:
        backend.pre_tokenizer = pre_tokenizers.Sequence(cuts)
    ends: list[Any] = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*ends, decoders.Strip(" ", 1, 0)] if spec.add_dummy_prefix else ends)
    special = [p.piece for p in proto.pieces if p.type in (_CONTROL, _UNKNOWN)]
    backend.add_special_tokens([AddedToken(piece, special=True, normalized=False) for piece in special])
    backend.add_tokens([AddedToken(p.piece, normalized=True) for p in proto.pieces if p.type == _USER])
    return backend.to_str()


def _parse(data: bytes) -> Any:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped, unused-ignore]

    schema: Any = importlib.import_module("sentencepiece.sentencepiece_model_pb2")
    try:
        proto = schema.ModelProto.FromString(data)
    except DecodeError as error:
        raise ValueError(f"not a SentencePiece model: {error}") from error
    if not any(p.type == _UNKNOWN for p in proto.pieces):
        raise ValueError("not a SentencePiece model: it has no unknown piece")
    return proto


def _check(proto: Any) -> None:
    """Raise ValueError for what a tokenizer.json would say otherwise."""
    spec, trainer = proto.normalizer_spec, proto.trainer_spec
    user = any(p.type == _USER for p in proto.pieces)
    refused = {
        "its kind is neither Unigram nor BPE": trainer.model_type not in (_UNIGRAM, _BPE),
        "it writes spaces as suffixes": trainer.treat_whitespace_as_suffix,
        "it leaves spaces as they are": not spec.escape_whitespaces,
        "it has pieces that are marked as unused": any(p.type == _UNUSED for p in proto.pieces),
        "it is a Unigram model with pieces of the user": user and trainer.model_type == _UNIGRAM,
        "it has pieces of the user beside a normaliser, a first space or removed spaces": user
        and (spec.precompiled_charsmap or spec.add_dummy_prefix or spec.remove_extra_whitespaces),
    }
    for why, so in refused.items():
        if so:
            raise ValueError(f"this SentencePiece model cannot be imported: {why}")


def _normalizer(spec: Any) -> Any:
    """SentencePiece's steps in their order; with removed spaces, a trailing SPACE of the text itself goes as well."""
    steps: list[Any] = []
    if spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(spec.precompiled_charsmap))
    if spec.name in _NFKC:
        # The library looks up whole graphemes, finds the shortest beginning and drops the rest ("½" + a joiner). So
        # what belongs together is composed first, and a control character set where a grapheme would go on.
        part = normalizers.Replace(Regex(_INSIDE), "\x01")
        steps = [normalizers.NFC(), part, *steps, normalizers.Replace("\x01", ""), normalizers.NFC()]
    if spec.remove_extra_whitespaces:
        steps += [normalizers.Replace(Regex(r"\A +| +\z"), ""), normalizers.Replace(Regex(" {2,}"), " ")]
    if spec.add_dummy_prefix:
        steps.append(normalizers.Prepend(SPACE))
    steps.append(normalizers.Replace(" ", SPACE))
    if spec.remove_extra_whitespaces:
        steps.append(normalizers.Replace(Regex(rf"{SPACE}+\z"), ""))
    return normalizers.Sequence(steps)


def _merges(proto: Any) -> list[tuple[str, str]]:
    """The merge behind each piece, the best score first."""
    ranks = {p.piece: -p.score for p in proto.pieces if p.type in (_NORMAL, _USER)}
    merges = []
    for piece in sorted((p.piece for p in proto.pieces if p.type == _NORMAL), key=ranks.__getitem__):
        made = last_merge(list(piece), ranks)
        if made:
            if not (made[0] in ranks and made[1] in ranks):
                raise ValueError(f"this SentencePiece model cannot be imported: {piece!r} has a part without an id")
            merges.append(made)
    return merges
