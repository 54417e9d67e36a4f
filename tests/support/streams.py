"""A tokens stage made by hand: streams of known numbers, so that a test knows which window it was given."""

from pathlib import Path

import numpy as np

from pipeline.stage import StageFolder


def write(run: Path, train: dict[str, int], heldout: dict[str, int], vocabulary: int = 64) -> StageFolder:
    """Streams of the given lengths; token i of a source is (i + its place) modulo the vocabulary."""
    folder = StageFolder.open(str(run), "tokens", "f")
    index: dict[str, dict[str, dict[str, object]]] = {}
    for split, lengths in (("train", train), ("heldout", heldout)):
        index[split] = {}
        for place, (source, length) in enumerate(sorted(lengths.items())):
            piece = f"{split}/{source}/00000.bin"
            folder.write_bytes(piece, ((np.arange(length) + place) % vocabulary).astype("<u2").tobytes(), rows=length)
            index[split][source] = {"pieces": [piece], "tokens": length, "documents": 1, "bytes": length}
    folder.write_json("index.json", index)
    weights = dict.fromkeys(train, 1.0)
    folder.write_json("mixture.json", {"weights": weights, "temperature": 1.0, "max_epochs": 64.0})
    return folder
