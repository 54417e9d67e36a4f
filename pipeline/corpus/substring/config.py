"""Settings of the removal of repeated substrings. Schemas only."""

from typing import Literal

from cluster.fields import Config, execution, result


class SubstringConfig(Config):
    """Text that stands elsewhere too is cut where it is not the first (Lee et al., arXiv 2107.06499).

    The paper's 50 BPE tokens are about 200 bytes of English.
    """

    enabled: bool = result(False, "Whether repeated substrings are cut", unit="none")
    length: int = result(200, "Shortest substring whose repetition is cut", unit="bytes of UTF-8", ge=16, le=8192)
    snap: Literal["characters", "words"] = result(
        "characters", "What a cut leaves whole; a cut only ever shrinks to it", unit="none"
    )
    min_left: int = result(50, "A document that was cut and has less left is dropped", unit="bytes of UTF-8", ge=0)
    max_loss: float = execution(
        0.5, "A source that loses a larger share of its bytes is reported", unit="fraction", gt=0, le=1
    )
