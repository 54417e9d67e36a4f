"""Reads what the tokens stage wrote, for people: sizes, lengths, use of the vocabulary, whose tokens. No torch."""

from typing import Any

import numpy as np

from models.tokenizer import SPECIALS, Tokenizer
from pipeline.sections import Cell, Chart, Example, Examples, Table
from pipeline.stage import StageFolder
from pipeline.tokens.order import permute
from pipeline.tokens.pieces import TokenReader, owners_of

LONGEST = 24
WINDOW = 160  # tokens of an example


def tokenizer_table(tokenizer: Tokenizer, index: dict[str, dict[str, dict[str, Any]]]) -> Table:
    """What the tokeniser is, and how its ids stand on disk."""
    types = sorted({facts["dtype"] for sources in index.values() for facts in sources.values() if "dtype" in facts})
    ids = (tokenizer.pad_id, tokenizer.end_id, tokenizer.user_id, tokenizer.assistant_id)
    body: list[list[Cell]] = [
        ["model", tokenizer.kind],
        ["ids", tokenizer.vocab_size],
        ["special tokens", ", ".join(f"{name} {i}" for name, i in zip(SPECIALS, ids, strict=True))],
        ["unknown", "none: every text has ids" if tokenizer.unknown_id is None else tokenizer.unknown_id],
        ["a token on disk", ", ".join(f"{8 * np.dtype(name).itemsize} bits" for name in types)],
    ]
    return Table("Tokeniser", ["", ""], body)


def sizes_table(index: dict[str, dict[str, dict[str, Any]]]) -> Table:
    """One row for each split and source."""
    body: list[list[Cell]] = []
    for split, sources in sorted(index.items(), reverse=True):
        for source, facts in sources.items():
            ratio = round(facts["bytes"] / max(1, facts["tokens"]), 3)
            body.append([split, source, facts["documents"], facts["bytes"], facts["tokens"], ratio])
    columns = ["split", "source", "documents", "bytes", "tokens", "bytes a token"]
    return Table("Encoded text", columns, body, "Each document is closed by one token, which is counted.")


def mixture_table(mixture: dict[str, Any]) -> Table:
    """Natural, asked and got shares of the sources, and what limits them."""
    budgets, caps = mixture.get("budgets", {}), mixture.get("epochs", {})
    body: list[list[Cell]] = [
        [
            source,
            mixture["weights"][source],
            budgets.get(source),
            facts["natural"],
            facts["asked"],
            facts["got"],
            round(facts["epochs"], 3),
            caps.get(source, mixture["max_epochs"]),
        ]
        for source, facts in mixture["sources"].items()
    ]
    note = (
        f"Asked: the budget; of the rest a share ~ weight x tokens ** (1 / {mixture['temperature']:g}). Got: in whole "
        f"samples, with no more passes over a source than its cap. Here over {mixture['total']:,} tokens: the budgets, "
        "and once what the other sources have; the section of pretraining says it of its own run."
    )
    columns = ["source", "weight", "budget", "natural share", "asked", "got", "passes", "cap"]
    return Table("Mixture", columns, body, note)


def mixture_chart(mixture: dict[str, Any]) -> Chart:
    """The same shares side by side."""
    sources = mixture["sources"]
    names = (("natural", "natural"), ("asked", "asked"), ("got", "got"))
    series = {name: [(float(i), facts[key]) for i, facts in enumerate(sources.values())] for name, key in names}
    return Chart("Shares of the mixture", series, x="source", y="share", kind="bar", labels=list(sources))


def lengths(
    folder: StageFolder, index: dict[str, dict[str, dict[str, Any]]]
) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """Tokens of each training document, by source."""
    return {
        source: np.concatenate([folder.read_table(owners_of(piece))["length"].to_numpy() for piece in facts["pieces"]])
        for source, facts in index["train"].items()
    }


def lengths_table(found: dict[str, np.ndarray[Any, np.dtype[Any]]]) -> Table:
    """Quantiles of the lengths of documents."""
    quantiles = (0.1, 0.5, 0.9, 1.0)
    body: list[list[Cell]] = [
        [source, *(int(q) for q in np.quantile(length, quantiles, method="lower"))] for source, length in found.items()
    ]
    return Table("Tokens of a training document", ["source", "10 %", "median", "90 %", "longest"], body)


def lengths_chart(found: dict[str, np.ndarray[Any, np.dtype[Any]]]) -> Chart:
    """How many documents have between 2^k and 2^(k+1) tokens."""
    series = {}
    for source, length in found.items():
        count = np.bincount(np.log2(np.maximum(length, 1)).astype(np.int64))
        series[source] = [(float(2**k), float(n)) for k, n in enumerate(count) if n]
    return Chart("Documents by length", series, x="tokens, from", y="documents", log_x=True, log_y=True)


def vocabulary_table(folder: StageFolder, index: dict[str, dict[str, dict[str, Any]]], size: int) -> Table:
    """How much of the vocabulary each source uses, and how evenly."""
    body: list[list[Cell]] = []
    for source, facts in index["train"].items():
        count = sum(np.bincount(_tokens(folder, piece, facts), minlength=size) for piece in facts["pieces"])
        ranked = np.sort(np.asarray(count))[::-1]
        top = round(float(ranked[:100].sum() / max(1, ranked.sum())), 4)
        bytes_a_token = round(facts["bytes"] / max(1, facts["tokens"]), 3)
        body.append([source, bytes_a_token, int((ranked > 0).sum()), round(float((ranked > 0).mean()), 4), top])
    columns = ["source", "bytes a token", "ids used", "share of the vocabulary", "text in the 100 commonest"]
    return Table("Use of the vocabulary", columns, body, f"The vocabulary has {size:,} ids.")


def longest_table(tokenizer: Tokenizer) -> Table:
    """The tokens that stand for most characters."""
    texts = sorted(((tokenizer.decode([i]), i) for i in range(tokenizer.vocab_size)), key=lambda p: (-len(p[0]), p[1]))
    body: list[list[Cell]] = [[i, len(text), repr(text)] for text, i in texts[:LONGEST]]
    return Table("Longest tokens", ["id", "characters", "text"], body)


def windows(folder: StageFolder, tokenizer: Tokenizer) -> Examples:
    """A window of each source, as training reads it, with the documents that its tokens came from."""
    reader = TokenReader(folder, "train")
    items = []
    for source in reader.sources:
        total = reader.tokens(source)
        length = min(WINDOW, total)
        start = permute(0, 0, total - length + 1, 0)  # anywhere, and the same each time
        fields, at = {}, start
        for document in reader.documents(source, start, length):
            first = at - document.start
            last = min(document.length, first + start + length - at)
            fields[document.id] = f"tokens {first:,} to {last - 1:,} of {document.length:,}"
            at += last - first
        text = tokenizer.decode(reader.window(source, start, length).tolist(), specials=True)
        items.append(Example(f"{source}, from token {start:,} of {total:,}", fields, text))
    return Examples("A window of each source, and whose tokens they are", items)


def _tokens(folder: StageFolder, piece: str, facts: dict[str, Any]) -> np.ndarray[Any, np.dtype[Any]]:
    return np.frombuffer(folder.read_bytes(piece), facts.get("dtype", "<u2"))
