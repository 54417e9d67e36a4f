"""The text that the tokeniser is trained on: training documents only, chosen by their hash. Pure but for reading."""

from collections.abc import Iterator

import pyarrow.compute as pc

from pipeline.rows import fraction
from pipeline.stage import StageFolder

BATCH_DOCUMENTS = 256
_SALT = "tokenizer"


def sample(corpus: StageFolder, limit: int) -> Iterator[str]:
    """Texts of about ``limit`` bytes in all, or of everything where there is no more; one piece in memory at a time.

    A document is taken when its hash falls below limit / size, so what is taken depends on no order.
    """
    share = limit / max(1, size(corpus))
    for piece in corpus.pieces("kept/"):
        for batch in corpus.read_table(piece).select(["id", "text"]).to_batches(BATCH_DOCUMENTS):
            for document, text in zip(batch["id"].to_pylist(), batch["text"].to_pylist(), strict=True):
                if fraction(document, _SALT) < share:
                    yield text


def size(corpus: StageFolder) -> int:
    """Bytes of the training text."""
    return sum(pc.sum(pc.binary_length(corpus.read_table(p)["text"])).as_py() or 0 for p in corpus.pieces("kept/"))
