"""Our rules of C4, Gopher and FineWeb beside datatrove's filters at their defaults, on 5,000 real documents and 400 bad
ones: how often they agree to keep or drop, why not where they do not, and how fast each is.

Twice: with our published thresholds, and with the settings that datatrove's defaults mean (``THEIRS``). A difference is
explained by the first change of ours that makes it go: one setting, all of them, spaCy's words, their lines, ...
"""

import json
import os
import random
import re
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import real_text
from benchmarks.claim import record
from cluster.fields import Config
from pipeline.corpus import families
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.readers.config import Source
from pipeline.corpus.rules import c4, fineweb, gopher_quality, gopher_repetition, words
from pipeline.corpus.rules.config import RulesConfig
from pipeline.corpus.rules.seen import Seen
from pipeline.rows import Row

REAL, BAD = int(os.environ.get("BENCH_DOCUMENTS", "5000")), 400
PROSE = (".txt", ".rst", ".md")  # these rules are not for code
AT_ONCE = 900  # documents between two turns of the clocks
FAMILIES = ("gopher_repetition", "gopher_quality", "c4", "fineweb")
THEIRS: dict[str, dict[str, Any]] = {
    "c4": {"min_line_words": 3, "min_sentences": 5, "scope": "lines"},
    "gopher_quality": {"marks_are_words": True},
    "gopher_repetition": {},
    "fineweb": {"max_repeated_characters": 0.01, "short_line": 31, "max_newlines": 0.3},
}
OURS = RulesConfig()
ALIGNED = RulesConfig.model_validate(THEIRS)
_PARAGRAPHS = re.compile(r"\n(?:[ \t]*\n)+")

Texts = list[str]


def real_documents(count: int) -> Texts:
    """Pages by their main content and prose files, cut at ends of paragraphs to 1 to 5 KB, at most 6 of a file."""
    from resiliparse.extract.html2text import extract_plain_text

    found: dict[str, None] = {}
    for path in real_text.chosen(1 << 62):
        if path.suffix not in real_text.PAGES + PROSE:
            continue
        text = path.read_text(errors="replace")
        text = extract_plain_text(text, main_content=True) if path.suffix in real_text.PAGES else text
        for _, document in zip(range(6), _cut(text, random.Random(len(found))), strict=False):
            found[document] = None
            if len(found) == count:
                return list(found)
    raise SystemExit(f"Only {len(found)} documents of 1 to 5 KB in BENCH_TEXT; give a folder with more text")


def _cut(text: str, dice: random.Random) -> Iterator[str]:
    held: list[str] = []
    least = dice.randint(1_000, 4_000)
    for paragraph in _PARAGRAPHS.split(text):
        held.append(paragraph.strip("\n"))
        if (size := sum(map(len, held))) >= least:
            if size <= 5_000:
                yield "\n\n".join(held).strip()
            held, least = [], dice.randint(1_000, 4_000)


def bad_documents(real: Texts, count: int) -> Texts:
    """Real documents spoilt so that each rule has something to find."""
    dice = random.Random(1)
    sentence = "They said that the old house by the river would have to be sold before the end of winter, and it was."
    spoil: list[Callable[[list[str]], str]] = [
        lambda w: " ".join(w[: dice.randint(3, 60)]),
        lambda w: " ".join("_".join(w[i : i + 4]) for i in range(0, len(w), 4)),
        lambda w: " ".join(word[: dice.randint(1, 2)] for word in w),
        lambda w: " ".join(f"#{word}" if dice.random() < 0.2 else word for word in w),
        lambda w: " ".join(f"{word}..." if dice.random() < 0.2 else word for word in w),
        lambda w: "\n".join(f"{dice.choice('•-*')} {' '.join(w[i : i + 6])}" for i in range(0, len(w), 6)),
        lambda w: "\n".join(f"{' '.join(w[i : i + 7])} ..." for i in range(0, len(w), 7)),
        lambda w: " ".join(str(dice.randint(0, 10**4)) if dice.random() < 0.3 else word for word in w),
        lambda w: " ".join(word for word in w if word.lower() not in OURS.gopher_quality.stop_words),
        lambda w: "\n".join([sentence] * dice.randint(1, 6) + _lines(w, 9)),
        lambda w: "\n\n".join(dice.choices([" ".join(w[:30]) + ".", " ".join(w[30:60]) + ".", *_lines(w, 25)], k=20)),
        *(
            (lambda w, n=n: " ".join(" ".join(w[:n]) if dice.random() < 1.6 / n / 2 else word for word in w))
            for n in (2, 3, 4)
        ),
        *((lambda w, n=n: " ".join(w + (w[:n] + w[-2:]) * dice.randint(2, 12))) for n in (5, 7, 9)),
        lambda w: "\n".join([sentence, "Lorem ipsum dolor sit amet, it is said.", *_lines(w, 12)]),
        lambda w: "\n".join([*_lines(w, 12), "A set is written { a, b } with its members in it.", sentence]),
        lambda w: "\n".join([*_lines(w, 12), "Please turn on Javascript to see this page.", sentence]),
        lambda w: "\n".join(
            [*_lines(w, 12), "This site uses cookies as its Cookie Policy says.", sentence, "x" * 1200]
        ),
        lambda w: "\n".join(_lines(w, dice.randint(2, 5))),
        lambda w: "\n".join(line.rstrip(".") for line in _lines(w, 12)) + "\n" + sentence,
    ]
    made = [spoil[i % len(spoil)](dice.choice(real).split()) for i in range(count - 1)]
    return [*made, " ".join(dice.sample(real, 300)) * 2]


def _lines(found: list[str], n: int) -> list[str]:
    return [" ".join(found[i : i + n]) + "." for i in range(0, len(found), n)]


def verdict(family: str, text: str, rules: RulesConfig, **seen: Any) -> tuple[str, float] | None:
    """Our verdict, where asked with other tokens or lines in the place of ours."""
    one = Seen(text)
    vars(one).update(seen)
    config: Any = getattr(rules, family)
    if family == "c4":
        return c4.judge(Row(id="", source="", text=text, meta=""), config).broken
    module = {"gopher_quality": gopher_quality, "gopher_repetition": gopher_repetition, "fineweb": fineweb}[family]
    return module.broken(one, config)


def causes(family: str, text: str, rules: RulesConfig, tokens: list[str], peer: "Peer") -> Iterator[tuple[str, bool]]:
    """Changes of ours in turn, each with the question whether we would keep the document then."""
    if rules is OURS:
        for field, value in THEIRS[family].items():
            part: Config = getattr(OURS, family).model_copy(update={field: value})
            one = OURS.model_copy(update={family: part})
            yield f"setting {field} = {value}", verdict(family, text, one) is None
        yield "several settings", verdict(family, text, ALIGNED) is None
    if family == "c4":
        kept = c4.judge_lines(text, c4.line_rules(ALIGNED.c4), True).kept
        count, c4.sentences = c4.sentences, dict(zip(kept, peer.ask(sentences=kept), strict=True)).__getitem__
        agreed = verdict(family, text, ALIGNED)
        c4.sentences = count
        yield "sentences", agreed is None
        ends, c4.ENDS = c4.ENDS, (".", "?", "!", '"', "'")
        agreed = verdict(family, text, ALIGNED)
        c4.ENDS = ends
        yield "curly quotation marks", agreed is None
        return
    table = np.frombuffer(words.pack(tokens), words.TOKEN)
    yield "words", verdict(family, text, ALIGNED, tokens=table) is None
    theirs = text.splitlines() if family == "gopher_quality" else re.split("\n+", text)
    yield "what is a line", verdict(family, text, ALIGNED, lines=theirs) is None
    yield "words and lines", verdict(family, text, ALIGNED, tokens=table, lines=theirs) is None
    bullets, gopher_quality.BULLETS = gopher_quality.BULLETS, ("•", "-")
    agreed = verdict(family, text, ALIGNED)
    gopher_quality.BULLETS = bullets
    yield "bullet points", agreed is None
    stripped = "\n".join(line.rstrip() for line in text.split("\n"))
    if family == "gopher_repetition":
        yield "an n-gram that stands there once", not any(_once(text, tokens, n) for n in (2, 3, 4))
    if family == "gopher_quality":
        yield "capitals of stop words", len(set(tokens) & set(OURS.gopher_quality.stop_words)) >= 2
    if family == "fineweb" and stripped != text:
        ended = [line for line in text.split("\n") if line.strip() and line.endswith(fineweb.ENDS)]
        share = len(ended) / max(1, len(Seen(text).lines))
        yield "blanks after a line's end", share >= ALIGNED.fineweb.min_ended_lines
    if family == "fineweb":
        exact = sum(line.endswith(fineweb.ENDS) for line in Seen(text).lines) / max(1, len(Seen(text).lines))
        yield "at the threshold itself", exact == ALIGNED.fineweb.min_ended_lines


def _once(text: str, tokens: list[str], n: int) -> bool:
    """Whether the most frequent n-gram stands there once and yet holds too large a share of a short text."""
    grams = Counter(" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
    gram, count = grams.most_common(1)[0] if grams else ("", 0)
    return count == 1 and len(gram) / len(text) > getattr(OURS.gopher_repetition, f"top_{n}_gram")


def compare(rules: RulesConfig, texts: Texts, theirs: list[Any], peer: "Peer") -> dict[str, Any]:
    """For each family: the share of agreement, how many each keeps, causes of differences, and which rules fired."""
    said: dict[str, Any] = {}
    for family in FAMILIES:
        ours = [verdict(family, text, rules) for text in texts]
        other = [i for i in range(len(texts)) if (ours[i] is None) != (theirs[i][family][0] == "")]
        why: Counter[str] = Counter()
        for i, tokens in zip(other, peer.ask(words=[texts[i] for i in other]), strict=True):
            keeps = theirs[i][family][0] == ""
            unexplained = f"{(ours[i] or ('kept',))[0]} | {theirs[i][family][0] or 'kept'}"
            found = (cause for cause, kept in causes(family, texts[i], rules, tokens, peer) if kept == keeps)
            why[next(found, unexplained)] += 1
        said[family] = {
            "agreement": round(1 - len(other) / len(texts), 4),
            "we_keep": sum(one is None for one in ours),
            "they_keep": sum(one[family][0] == "" for one in theirs),
            "causes": dict(why.most_common()),
            "our_reasons": dict(Counter(one[0] for one in ours if one).most_common()),
        }
    return said


class Peer:
    """benchmarks/filters_peer.py as a process that stays."""

    def __init__(self) -> None:
        python = os.environ.get("BENCH_PEERS")
        if not python:
            raise SystemExit("Set BENCH_PEERS to an interpreter with datatrove and spacy")
        command = [python, str(Path(__file__).with_name("filters_peer.py"))]
        pipe, log = subprocess.PIPE, subprocess.DEVNULL
        self._child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, text=True, encoding="utf-8")

    def ask(self, **asked: Texts) -> Any:
        assert self._child.stdin and self._child.stdout
        self._child.stdin.write(json.dumps(asked) + "\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise SystemExit(f"filters_peer.py ended with {self._child.wait()}")
        return json.loads(line)


def main() -> None:
    """Judge all documents with both, interleaved, then compare the verdicts."""
    real = real_documents(REAL)
    texts = [*real, *bad_documents(real, BAD)]
    peer, config = Peer(), CorpusConfig()
    source = Source(name="all", kind="text", path=".", rules=FAMILIES)
    judges = families.load(config, source, lambda name: b"")
    theirs: list[Any] = []
    ratios, speeds = [], []
    for begin in range(0, len(texts), AT_ONCE):
        some = texts[begin : begin + AT_ONCE]
        start = time.process_time()
        for text in some:
            row = Row(id="", source="all", text=text, meta="")
            for judge in judges:
                judge(row, source)
        seconds = time.process_time() - start
        answer = peer.ask(judge=some)
        theirs += answer["verdicts"]
        ratios.append(answer["seconds"] / seconds)
        speeds.append(sum(len(text.encode()) for text in some) / seconds / 1e6)
    runs = [{"settings": name, **compare(rules, texts, theirs, peer)} for name, rules in _SETTINGS.items()]
    least = min(runs[0][family]["agreement"] for family in FAMILIES)
    facts: dict[str, float] = {"documents": len(texts), "bytes": sum(len(text.encode()) for text in texts)}
    what = f"rules: least agreement of a family with datatrove's filters, {len(texts):,} documents"
    record("filters_agree", what, "", least, "at least 0.99", least >= 0.99, runs=runs, peers=facts)
    speed, what = round(statistics.median(ratios), 1), "rules: speed of the four families / datatrove's four filters"
    facts["our_MB_s"] = round(statistics.median(speeds), 2)
    record("filters_speed", what, "times", speed, "at least 10", speed >= 10, runs=[{"ratios": ratios}], peers=facts)


_SETTINGS = {"datatrove's defaults": ALIGNED, "published": OURS}

if __name__ == "__main__":
    main()
