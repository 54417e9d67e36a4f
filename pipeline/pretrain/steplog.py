"""One line a step beside the result: how fast it was and what it waited for. Numbered segments, as a store has no
append. Knows no clock and no torch."""

import json
from typing import Any

from pipeline.stage import StageFolder

TOP = "timing/steps"
WORKERS = "timing/workers"  # one file for each worker of a layout: what it measured of itself
LINES_A_SEGMENT = 200


class StepLog:
    """The lines of one replica; a segment is named by its first step, and written again as it grows."""

    def __init__(self, folder: StageFolder, replica: int) -> None:
        self._folder, self._replica = folder, replica
        self._lines: list[dict[str, Any]] = []

    def add(self, line: dict[str, Any]) -> None:
        """Keep a line, which has a ``step``; a full segment goes to the disk."""
        self._lines.append(line)
        if len(self._lines) >= LINES_A_SEGMENT:
            self.write()
            self._lines = []

    def write(self) -> None:
        """Bring the lines to the disk."""
        if self._lines:
            name = f"{TOP}/{self._lines[0]['step']:08d}-{self._replica}.jsonl"
            text = "".join(json.dumps(line) + "\n" for line in self._lines)
            self._folder.storage.put(self._folder.key(name), text.encode())


def read(folder: StageFolder, after: int = -1) -> list[dict[str, Any]]:
    """The lines of the steps after one, in order; of a step that was made twice, that of the later segment."""
    keys = list(folder.storage.list(folder.key(TOP)))
    ends = [int(key.rsplit("/", 1)[1].split("-")[0]) for key in keys[1:]]
    found: dict[int, dict[str, Any]] = {}
    for i, key in enumerate(keys):
        if i == len(ends) or ends[i] > after:
            lines = [json.loads(text) for text in folder.storage.get(key).splitlines()]
            found |= {line["step"]: line for line in lines if line["step"] > after}
    return [found[step] for step in sorted(found)]
