"""Golden digests of the micro journey. Text does not depend on the machine; weights do, by processor and libraries.

python -m tests.support.golden RUN      take the digests of a finished micro run
"""

import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

FILE = Path(__file__).parent / "golden.json"
TEXT = ("corpus", "tokens")


def machine() -> str:
    """What decides the bits of a matrix product: the kernels that torch's libraries choose here, and their versions."""
    import torch

    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    vendor = next((line for line in lines if line.startswith("vendor_id")), "")
    kinds = sorted(f for f in flags.split() if f.startswith(("avx", "amx", "fma", "sve", "asimd")))
    said = [vendor.split(":")[-1].strip(), *kinds, torch.__version__, version("numpy"), version("tokenizers")]
    return hashlib.sha256(" ".join(said).encode()).hexdigest()[:12]


def read() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(FILE.read_text())
    return found


def main() -> None:
    """Replace the digests of text, and those of weights for this machine."""
    from pipeline.stage import StageFolder
    from pipeline.stages import NAMES

    manifests = {name: StageFolder.open(sys.argv[1], name).manifest() for name in NAMES}
    found = {name: str(m["digest"]) for name, m in manifests.items() if m}
    kept = json.loads(FILE.read_text()) if FILE.exists() else {}
    kept["any"] = {name: d for name, d in found.items() if name in TEXT}
    kept[machine()] = {name: d for name, d in found.items() if name not in TEXT}
    FILE.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
