"""Where and with what a driver runs: facts that stand beside a digest, never in it. Knows no stage."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LIBRARIES = ("ray", "torch", "torchft", "tokenizers", "numpy", "pyarrow", "transformers")


def machine() -> dict[str, Any]:
    """The host's processor, cores, memory in bytes and system, and the versions of what a result rests on."""
    found = {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.machine()}",
    }
    return {"machine": found, "versions": versions()}


def versions() -> dict[str, str]:
    """Python and the libraries that a result rests on, those that are installed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
