"""Evaluation items from held-out text: multiple choice and cloze, and solved examples for few-shot. Pure.

choice: which of four continuations of similar length follows a passage; the other three come from other held-out
documents of the same source. cloze: the last word of a passage, where the word also stands earlier in the passage
(as most answers of LAMBADA do, arXiv 1606.06031). Contexts are short, so that scoring is cheap.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, Literal

from pipeline.corpus.config import ItemsConfig
from pipeline.rows import Row, fraction

Kind = Literal["choice", "cloze"]
Item = dict[str, Any]  # id, kind, source, context, choices (choice only), answer, document

CHOICES = 4
SHOT_DOCUMENTS = 0.15  # share of a source's held-out documents that give the solved examples, and nothing else

_WORD = re.compile(r"\S+")
_ANSWER = re.compile(r"[A-Za-z]{4,}")


def make(documents: Sequence[Row], config: ItemsConfig, known: Callable[[str], bool]) -> dict[str, list[Item]]:
    """``choice``, ``cloze`` and ``shots``, each sorted by id. Fewer than asked where the held-out text has no more.

    An item is not made when the training text holds its passage: ``known`` says so (it is boilerplate, then).
    """
    by_source: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(documents, key=lambda row: fraction(row["id"], "items")):
        by_source[row["source"]].append(row)
    asked: dict[str, list[list[Item]]] = {"choice": [], "cloze": []}
    shots: dict[str, list[list[Item]]] = {"choice": [], "cloze": []}
    for _, rows in sorted(by_source.items()):
        makers: dict[str, Callable[[Row], list[Item]]] = {
            "choice": _choices(rows, config),
            "cloze": _clozes(rows, config),
        }
        reserved = max(1, round(SHOT_DOCUMENTS * len(rows)))
        for kind, maker in makers.items():
            shots[kind].append(_interleave(maker(row) for row in rows[:reserved]))
            asked[kind].append(_interleave(maker(row) for row in rows[reserved:]))
    made = {kind: _take(found, config.per_kind, config.answers_a_word, known) for kind, found in asked.items()}
    examples = [item for found in shots.values() for item in _take(found, config.shots, config.answers_a_word, known)]
    return {**made, "shots": sorted(examples, key=lambda item: str(item["id"]))}


def passage(item: Item) -> str:
    """An item's context with its right answer, as it stands in the document."""
    answer = item["choices"][item["answer"]] if item["kind"] == "choice" else item["answer"]
    return str(item["context"] + answer)


def _interleave(lists: Iterable[Sequence[Item]]) -> list[Item]:
    """The first of each, then the second of each, ..."""
    return [item for layer in zip_longest(*lists) for item in layer if item is not None]


def _take(
    by_source: Sequence[Sequence[Item]], count: int, answers_a_word: int, known: Callable[[str], bool]
) -> list[Item]:
    """So many, a source at a time in turn, none that is known and no cloze answer too often; sorted by id."""
    taken: list[Item] = []
    answers: Counter[str] = Counter()
    for item in _interleave(by_source):
        if len(taken) == count:
            break
        if known(passage(item)):
            continue
        if item["kind"] == "cloze":
            answers[item["answer"]] += 1
            if answers[item["answer"]] > answers_a_word:
                continue
        taken.append(item)
    return sorted(taken, key=lambda item: str(item["id"]))


def _passages(row: Row, config: ItemsConfig, after: int) -> Iterator[list[re.Match[str]]]:
    """Runs of words that do not overlap: a context, as long as the document's hash says, and words after."""
    words = list(_WORD.finditer(row["text"]))
    start = 0
    while True:
        spread = fraction(row["id"], f"context {start}")
        length = config.min_words + int(spread * (config.max_words - config.min_words + 1)) + after
        if start + length > len(words):
            break
        yield words[start : start + length]
        start += length


def _choices(rows: Sequence[Row], config: ItemsConfig) -> Callable[[Row], list[Item]]:
    """Makes a document's choice items; the distractors come from the others in ``rows``."""
    endings: list[tuple[str, str]] = []  # document, continuation
    passages = {row["id"]: list(_passages(row, config, config.answer_words)) for row in rows}
    for row in rows:
        for words in passages[row["id"]]:
            endings.append((row["id"], row["text"][words[-config.answer_words].start() : words[-1].end()]))

    def make_items(row: Row) -> list[Item]:
        made = []
        for number, words in enumerate(passages[row["id"]]):
            before, right = words[-config.answer_words - 1], words[-config.answer_words]
            answer = row["text"][right.start() : words[-1].end()]
            key = f"choice-{row['id'][:12]}-{number:03d}"
            wrong = _distractors(answer, row["id"], endings, key)
            if len(wrong) < CHOICES - 1:
                continue
            place = int(fraction(key, "place") * CHOICES)
            blank = row["text"][before.end() : right.start()]  # all four begin with the same blank
            choices = [blank + text for text in [*wrong[:place], answer, *wrong[place:]]]
            context = row["text"][words[0].start() : before.end()]
            made.append(_item(key, "choice", row, context, choices=choices, answer=place))
        return made

    return make_items


def _distractors(answer: str, document: str, endings: Sequence[tuple[str, str]], key: str) -> list[str]:
    """Three continuations of other documents: of twelve drawn by the item's hash, those closest in length.

    Each of another document where so many documents were drawn.
    """
    others = [ending for ending in endings if ending[0] != document and ending[1] != answer]
    drawn = {others[int(fraction(key, f"drawn {i}") * len(others))] for i in range(4 * (CHOICES - 1)) if others}
    closest = sorted(drawn, key=lambda ending: (abs(len(ending[1]) - len(answer)), ending))
    first_of = {other: i for i, (other, _) in reversed(list(enumerate(closest)))}
    spread = [closest[i] for i in sorted(range(len(closest)), key=lambda i: (i > first_of[closest[i][0]], i))]
    return list(dict.fromkeys(text for _, text in spread))[: CHOICES - 1]


def _clozes(rows: Sequence[Row], config: ItemsConfig) -> Callable[[Row], list[Item]]:
    """Makes a document's cloze items; the most frequent words of ``rows`` are no answers."""
    count = Counter(word for row in rows for word in _ANSWER.findall(row["text"].lower()))
    frequent = {word for word, _ in sorted(count.items(), key=lambda pair: (-pair[1], pair[0]))[: config.common_words]}

    def make_items(row: Row) -> list[Item]:
        made = []
        for number, words in enumerate(_passages(row, config, config.answer_words)):
            found = _last_answer(row["text"], words[: config.max_words + 1], frequent, config.min_words)
            if found:
                key = f"cloze-{row['id'][:12]}-{number:03d}"
                context = row["text"][words[0].start() : found[0] - 1]
                made.append(_item(key, "cloze", row, context, answer=row["text"][found[0] - 1 : found[1]]))
        return made

    return make_items


def _last_answer(text: str, words: Sequence[re.Match[str]], frequent: set[str], fewest: int) -> tuple[int, int] | None:
    """Where the last word stands that can be asked for: after one blank, not frequent, and said before."""
    first = words[0].start()
    for word in reversed(words[fewest:]):
        letters = _ANSWER.match(word[0])
        if not letters or letters[0].lower() in frequent or text[word.start() - 1] != " ":
            continue
        if re.search(rf"\b{letters[0]}\b", text[first : word.start() - 1]):
            return word.start(), word.start() + letters.end()
    return None


def _item(key: str, kind: Kind, row: Row, context: str, **facts: Any) -> Item:
    return {"id": key, "kind": kind, "source": row["source"], "context": context, "document": row["id"], **facts}
