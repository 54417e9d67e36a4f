"""Each part matters: the default run with one part off at a time, and a table of what moved (docs/ablations.md).

It pretrains on a third of the default budget. Each variant begins as a copy of the whole run, so only the stages that
depend on the change are made again.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.environment import machine

ROOT = Path(__file__).resolve().parent.parent
SCALE = ("pretrain.tokens=600000", "search.rungs=[16384, 49152]")


@dataclass(frozen=True)
class Off:
    """A part that is turned off, and the last stage that shows it."""

    part: str
    sets: tuple[str, ...]
    until: str


PARTS = (
    Off("nothing", (), "evaluate@rlhf"),
    Off("warmup", ("optim.warmup_fraction=0.0",), "evaluate@pretrain"),
    Off("search", ("search.enabled=false",), "evaluate@pretrain"),
    Off("near-duplicate removal", ("corpus.dedup.enabled=false",), "evaluate@pretrain"),
    Off("loss mask of SFT", ("finetune.mask_prompts=false",), "evaluate@finetune"),
    Off(
        "KL penalty of RLHF",
        ("rlhf.kl.coefficient=0.0", "rlhf.kl.rate=0.0", "rlhf.kl.brake=1.0", "rlhf.kl.bound=1e9"),
        "evaluate@rlhf",
    ),
)


def make(base: Path, part: Off, folder: Path) -> dict[str, Any]:
    """Run one variant in a copy of the base run; its figures."""
    out = folder / part.part.split()[0]
    if base.exists() and not out.exists():
        shutil.copytree(base, out, ignore=shutil.ignore_patterns("lease", "logs"))
    sets = [word for text in (*SCALE, *part.sets) for word in ("--set", text)]
    command = [sys.executable, "-m", "pipeline", "run", "tiny", "--out", str(out), "--until", part.until, *sets]
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    return figures(out)


def figures(out: Path) -> dict[str, Any]:
    """What the table shows of a run; a stage that is not there is None."""

    def read(path: str) -> Any:
        return json.loads((out / path).read_text()) if (out / path).exists() else None

    found: dict[str, Any] = {}
    for stage in ("pretrain", "finetune", "rlhf"):
        text = read(f"evaluate/{stage}/results.json")
        found[f"bits a byte, {stage}"] = text["text"]["total"]["bits_per_byte"] if text else None
    tuned = read("finetune/heldout.json")
    found["held-out reply loss, finetune"] = tuned["after"] if tuned else None
    rlhf = read("rlhf/heldout.json")
    for name in ("reward", "kl"):
        found[f"{name}, rlhf"] = rlhf["after"][name] if rlhf else None
    return found


def main() -> None:
    """BENCH_RUN may name a finished default run, whose corpus and tokens are then not made again."""
    base = Path(os.environ.get("BENCH_RUN") or ROOT / "runs" / "tiny")
    folder = Path(tempfile.mkdtemp())
    rows = [(PARTS[0], make(base, PARTS[0], folder))]
    rows += [(part, make(folder / "nothing", part, folder)) for part in PARTS[1:]]
    names = list(rows[0][1])
    depends = {"evaluate@pretrain": names[:1], "evaluate@finetune": [names[1], names[3]], "evaluate@rlhf": names}
    lines = [f"| turned off | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for part, found in rows:
        shown = [found[n] if n in depends[part.until] else None for n in names]
        lines.append(f"| {part.part} | {' | '.join('' if v is None else f'{v:.3f}' for v in shown)} |")
    where = machine()["machine"]
    head = (
        "# Each part matters\n\nMade by `make ablate`: the recipe tiny on 600,000 pretraining tokens, one part off "
        "at a time and what depends on it made again. One seed, so a difference in the third digit is noise. "
        f"{where['cores']} cores ({where['cpu']}), {datetime.now(UTC).date().isoformat()}.\n\n"
    )
    (ROOT / "docs").mkdir(exist_ok=True)
    (ROOT / "docs" / "ablations.md").write_text(head + "\n".join(lines) + "\n")
    print("\n".join(lines))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
