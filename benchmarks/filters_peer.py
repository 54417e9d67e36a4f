"""datatrove's filters at their defaults, for benchmarks/filters_agree.py; runs in the interpreter of BENCH_PEERS.

A line of JSON in, ``{"judge": [texts]}``, ``{"words": [texts]}`` or ``{"sentences": [texts]}``; a line of JSON out.
Imports nothing of ours.
"""

import json
import sys
import time

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils.text import split_into_sentences, split_into_words


def main() -> None:
    """Answer until the input ends."""
    filters = {
        "gopher_repetition": GopherRepetitionFilter(),
        "gopher_quality": GopherQualityFilter(),
        "c4": C4QualityFilter(),
        "fineweb": FineWebQualityFilter(),
    }
    split_into_words("spaCy loads its rules with the first text.")
    for line in sys.stdin:
        asked = json.loads(line)
        if "words" in asked:
            said: object = [split_into_words(text) for text in asked["words"]]
        elif "sentences" in asked:
            said = [len(split_into_sentences(text)) if text else 0 for text in asked["sentences"]]
        else:
            start = time.process_time()
            verdicts = [{name: judge(one, text) for name, one in filters.items()} for text in asked["judge"]]
            said = {"verdicts": verdicts, "seconds": time.process_time() - start}
        print(json.dumps(said), flush=True)


def judge(one: object, text: str) -> list[str]:
    """The reason for which a document is dropped, or "" and its text after the filter."""
    document = Document(text=text, id="")
    try:
        found = one.filter(document)  # type: ignore[attr-defined]
    except Exception as error:  # some filters divide by the number of words or lines
        return [f"error: {type(error).__name__}", ""]
    return ["", document.text if document.text != text else ""] if found is True else [found[1], ""]


if __name__ == "__main__":
    main()
