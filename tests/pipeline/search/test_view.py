from pathlib import Path
from typing import Any

import pytest

from pipeline.search import view
from pipeline.sections import Note
from pipeline.stage import StageFolder


def searched(folder: StageFolder, rates: list[float], chosen: int) -> None:
    for i, rate in enumerate(rates):
        trial = {"rung": 0, "trial": i, "peak_lr": rate, "batch": [[0.0, 4]], "tokens": 8, "loss": 1.0 + i}
        folder.write_json(f"trials/rung0-{i:03d}.json", {**trial, "curve": [[8, 1.0]]})
    rung = {"tokens": 8, "losses": {str(i): 1.0 for i in range(len(rates))}, "survivors": [chosen]}
    best: dict[str, Any] = {"trial": chosen, "peak_lr": rates[chosen], "batch": [[0.0, 4]], "rungs": [rung]}
    folder.write_json("best.json", best)


@pytest.mark.parametrize(("rates", "chosen", "said"), [
    ([1e-3, 2e-3, 4e-3], 0, "smallest"),
    ([1e-3, 2e-3, 4e-3], 1, ""),
    ([1e-3, 2e-3, 4e-3], 2, "largest"),
    ([1e-3], 0, ""),
])  # fmt: skip
def test_a_choice_at_the_end_of_the_grid_is_said(tmp_path: Path, rates: list[float], chosen: int, said: str) -> None:
    folder = StageFolder.open(str(tmp_path), "search", "f")
    searched(folder, rates, chosen)
    section = view.section(folder, {})
    assert section is not None
    notes = [block.text for block in section.blocks if isinstance(block, Note)]
    assert [said in note for note in notes] == ([True] if said else [])
