"""The run's own tokeniser beside other kinds, which are trained on the words that it counted most often: on its text.

Held-out text first, and training text where there is less of it than asked. Sizes and rates of unknown tokens are
functions of the run; speeds are measured when this is called. Knows no terminal.
"""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, TypeAlias, get_args

from cluster.errors import ConfigError, RunDirError, UserError
from models.tokenizer import Tokenizer
from models.words import Words
from pipeline.rows import facts_of
from pipeline.sections import Block, Cell, Note, Table
from pipeline.stage import StageFolder
from pipeline.tokens import counts
from pipeline.tokens.config import Kind
from pipeline.tokens.pieces import load_tokenizer
from pipeline.tokens.train import build

OWN = "this run"
KINDS: tuple[str, ...] = get_args(Kind)
CACHE = "timing/kinds.json"
MOST_WORDS = 200_000  # that a kind is trained on here
SAMPLE_BYTES = 400_000  # of each source and language
DOCUMENT_CHARACTERS = 50_000

_FROM_FILE = "its vocabulary is from a file"

Sample: TypeAlias = dict[tuple[str, str], list[str]]
"""(source, language) -> texts."""


def say_aloud(text: str) -> None:
    """Progress, beside what is shown."""
    print(text, file=sys.stderr, flush=True)


def compare(
    folder: StageFolder, kinds: Sequence[str] | None = (), say: Callable[[str], None] = say_aloud
) -> list[Block]:
    """Tables of the run's own tokeniser and of the kinds asked for: all that can be trained here, those named, or None.

    What was found before is read from a file. Raises ConfigError for a kind that does not exist, UserError before the
    stage has finished, and for kinds that are named where no words were counted.
    """
    for kind in kinds or ():
        if kind not in KINDS:
            raise ConfigError("--kinds", kind, "there is no such kind", f"Take some of {', '.join(KINDS)}")
    manifest = folder.manifest()
    counted = folder.done(counts.FACTS)
    if manifest is None:
        raise UserError("RUN", folder.run, "its tokens stage has not finished", "Run it first: firstlight run")
    if kinds and not counted:
        raise UserError("--kinds", ",".join(kinds), f"no words were counted: {_FROM_FILE}", "Leave it out")
    to = StageFolder.open(folder.run, folder.stage, manifest["fingerprint"])
    found: dict[str, Any] = to.read_json(CACHE) if to.done(CACHE) else {}
    found = found["kinds"] if found.get("digest") == manifest["digest"] else {}
    wanted = [] if kinds is None or not counted else kinds or KINDS
    missing = [kind for kind in (OWN, *wanted) if kind not in found]
    if missing:
        own, sample, words = load_tokenizer(folder), take_sample(folder), counts.load(folder)
        words = Words(words.texts[:MOST_WORDS], words.counts[:MOST_WORDS])
        for kind in missing:
            if kind == OWN:
                found[kind] = _judge(own, sample)
            else:
                say(f"trying {kind} ({own.vocab_size:,} ids) ...")
                found[kind] = _try(kind, words, own.vocab_size, sample)
            with suppress(RunDirError):  # a run that cannot be written can be looked at
                to.write_json(CACHE, {"digest": manifest["digest"], "kinds": found})
    blocks = tables({kind: found[kind] for kind in (OWN, *wanted)})
    return blocks if counted or kinds is None else [*blocks, Note(f"No other kind was tried: {_FROM_FILE}.")]


def take_sample(folder: StageFolder, limit: int = SAMPLE_BYTES) -> Sample:
    """Up to ``limit`` bytes of each source and language of the run's corpus, in the order of its pieces."""
    corpus = StageFolder.open(folder.run, "corpus")
    taken: Sample = {}
    held: dict[tuple[str, str], int] = {}
    for piece in chain(corpus.pieces("heldout/"), corpus.pieces("kept/")):
        for row in corpus.read_table(piece).select(["source", "text", "meta"]).to_pylist():
            facts = facts_of(row["meta"])
            found = facts.get("language") or facts.get("signals", {}).get("language") or ""
            key = (row["source"], str(found))
            if held.get(key, 0) < limit:
                text = row["text"][:DOCUMENT_CHARACTERS]
                taken.setdefault(key, []).append(text)
                held[key] = held.get(key, 0) + len(text.encode())
    return dict(sorted(taken.items()))


def _try(kind: str, words: Words, size: int, sample: Sample) -> dict[str, Any]:
    start = time.perf_counter()
    try:
        tokenizer = build(kind, words, size)
    except ConfigError as error:  # its library is missing
        return {"missing": str(error)}
    return {"training_s": round(time.perf_counter() - start, 3)} | _judge(tokenizer, sample)


def _judge(tokenizer: Tokenizer, sample: Sample) -> dict[str, Any]:
    rows, used, encoding = [], set[int](), 0.0
    for (source, language), texts in sample.items():
        start = time.perf_counter()
        ids = [tokenizer.encode(text) for text in texts]
        encoding += time.perf_counter() - start
        used.update(*ids)
        rows.append({"source": source, "language": language} | _measure(tokenizer, texts, ids))
    total = sum(row["bytes"] for row in rows)
    return {
        "rows": rows,
        "vocabulary": tokenizer.vocab_size,
        "used": len(used),
        "mb_s": round(total / 1e6 / max(encoding, 1e-9), 3),
    }


def _measure(tokenizer: Tokenizer, texts: list[str], ids: list[list[int]]) -> dict[str, Any]:
    unknown = tokenizer.unknown_id
    return {
        "bytes": sum(len(text.encode()) for text in texts),
        "tokens": sum(map(len, ids)),
        "unknown": 0 if unknown is None else sum(part.count(unknown) for part in ids),
        "documents": len(texts),
        "returned": sum(tokenizer.decode(part) == text for part, text in zip(ids, texts, strict=True)),
    }


def tables(found: dict[str, dict[str, Any]]) -> list[Block]:
    """What was found, as two tables, and a note for each kind that could not be trained."""
    made = {kind: facts for kind, facts in found.items() if "rows" in facts}
    total = {kind: {n: sum(row[n] for row in f["rows"]) for n in _SUMS} for kind, f in made.items()}
    whole: list[list[Cell]] = [
        [
            kind,
            facts["vocabulary"],
            round(facts["used"] / facts["vocabulary"], 4),
            _ratio(total[kind]["bytes"], total[kind]["tokens"]),
            _ratio(total[kind]["unknown"], total[kind]["tokens"], 5),
            _ratio(total[kind]["returned"], total[kind]["documents"]),
            facts["mb_s"],
            facts.get("training_s"),
        ]
        for kind, facts in made.items()
    ]
    columns = ["kind", "ids", "used", "bytes a token", "unknown", "come back", "MB/s", "trained in s"]
    note = (
        "Used: share of the ids that this text needs. Come back: share of the documents that decode to themselves. "
        "MB/s and seconds were measured here, on whatever else this machine was doing."
    )
    blocks: list[Block] = [Table("Kinds of tokenisers", columns, whole, note), _by_language(made)]
    return blocks + [Note(f"{kind}: {facts['missing']}") for kind, facts in found.items() if "missing" in facts]


_SUMS = ("bytes", "tokens", "unknown", "documents", "returned")


def _by_language(made: dict[str, dict[str, Any]]) -> Table:
    body: list[list[Cell]] = []
    kinds = list(made)
    for rows in zip(*(made[kind]["rows"] for kind in kinds), strict=True):
        cells = [f"{_ratio(r['bytes'], r['tokens']):.2f}" + _share(r["unknown"], r["tokens"]) for r in rows]
        body.append([rows[0]["source"], rows[0]["language"] or None, *cells])
    note = "Bytes a token, and in brackets the share of tokens that are unknown, where there are any."
    return Table("Kinds by source and language", ["source", "language", *kinds], body, note)


def _share(part: int, whole: int) -> str:
    return f" ({100 * part / whole:.1f} %)" if part else ""


def _ratio(part: int, whole: int, digits: int = 3) -> float:
    return round(part / max(1, whole), digits)
