"""A measured claim as a JSON file, and the README's table made of them."""

import json
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.environment import machine

RESULTS = Path(__file__).parent / "results"
START, END = "<!-- figures: python -m benchmarks.claim -->", "<!-- end of figures -->"


def record(
    claim: str,
    what: str,
    unit: str,
    value: float,
    bar: str,
    holds: bool,
    *,
    runs: Sequence[Any] = (),
    peers: dict[str, Any] | None = None,
) -> None:
    """Write ``results/CLAIM.json`` and print it. ``bar`` is the rule in words, ``holds`` whether the value meets it."""
    found = machine()
    said = {
        "claim": claim,
        "what": what,
        "unit": unit,
        "value": value,
        "bar": bar,
        "holds": holds,
        "peers": peers or {},
        "runs": list(runs),
        "machine": found["machine"],
        "versions": found["versions"],
        "date": datetime.now(UTC).date().isoformat(),
        "command": " ".join(["python", "-m", *_module()]),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{claim}.json").write_text(json.dumps(said, indent=1) + "\n")
    print(json.dumps(said), flush=True)


def finished_run() -> str:
    """BENCH_RUN: a run directory whose corpus and tokens stand."""
    found = os.environ.get("BENCH_RUN", "")
    if not (Path(found) / "tokens" / "manifest.json").is_file():
        raise SystemExit("Set BENCH_RUN to a run directory whose tokens stand")
    return found


def _module() -> list[str]:
    spec = sys.modules["__main__"].__spec__
    return [spec.name.removesuffix(".__main__") if spec else sys.argv[0], *sys.argv[1:]]


def table() -> str:
    """All results as a Markdown table, by claim."""
    lines = ["| figure | value | bar | holds | machine, date |", "|---|---|---|---|---|"]
    for path in sorted(RESULTS.glob("*.json")):
        r = json.loads(path.read_text())
        value = f"{r['value']:,.4g}" if isinstance(r["value"], float) else f"{r['value']:,}"
        where = f"{r['machine']['cores']} cores, {r['date']}"
        lines.append(
            f"| {r['what']} | {value} {r['unit']} | {r['bar']} | {'yes' if r['holds'] else '**no**'} | {where} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Put the table between its marks in the README."""
    path = Path(__file__).parent.parent / "README.md"
    text = path.read_text()
    before, rest = text.split(START, 1)
    _, after = rest.split(END, 1)
    path.write_text(f"{before}{START}\n{table()}\n{END}{after}")
    print(f"{platform.node()}: {path.name} holds {len(list(RESULTS.glob('*.json')))} figures")


if __name__ == "__main__":
    main()
