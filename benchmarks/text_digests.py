"""The corpus and tokens stages end with one digest: 1, 2 and 4 workers; renamed and shuffled files; kills.

``kill -9`` of a worker and of the driver, and the loss of a node of a cluster, at three different steps each.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import real_text
from benchmarks.claim import record
from cluster import home
from cluster.memory import descendants

ROOT = Path(__file__).resolve().parent.parent
STEPS = ("corpus/work/read", "corpus/work/near", "tokens/.pieces")  # folders that appear when a step has begun


def start(recipe: Path, out: Path, *sets: str) -> subprocess.Popen[bytes]:
    words = [word for text in sets for word in ("--set", text)]
    command = [sys.executable, "-m", "pipeline", "run", str(recipe), "--out", str(out), "--until", "tokens", *words]
    log = open(out.with_suffix(".log"), "ab")
    return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)


def finish(child: subprocess.Popen[bytes], out: Path) -> list[str]:
    """The run's ``verify`` lines."""
    assert child.wait() == 0, out.with_suffix(".log").read_text()
    command = [sys.executable, "-m", "pipeline", "verify", str(out)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
    return found.stdout.splitlines()


def begun(folder: Path, child: subprocess.Popen[bytes]) -> None:
    """Wait until a step has begun to write."""
    while not (folder.exists() and any(folder.iterdir())):
        assert child.poll() is None, f"the run ended before {folder} was there"
        time.sleep(0.02)


def workers(pid: int) -> list[int]:
    """Ray's processes that run a task of the driver now."""
    found = []
    for process in descendants(pid):
        try:
            title = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")[0]
        except OSError:
            continue
        if title.startswith(b"ray::") and b"IDLE" not in title:
            found.append(process)
    return found


def kill_worker(recipe: Path, out: Path, step: str) -> list[str]:
    """Kill -9 a process that is at work for the step; the driver is not touched."""
    child = start(recipe, out)
    begun(out / step, child)
    while not (busy := workers(child.pid)):
        assert child.poll() is None, "the run ended before a worker was busy"
    os.kill(busy[0], signal.SIGKILL)
    return finish(child, out)


def kill_driver(recipe: Path, out: Path, step: str) -> list[str]:
    """Kill -9 the driver in the step, and give the same command again."""
    child = start(recipe, out)
    begun(out / step, child)
    child.kill()
    child.wait()
    return finish(start(recipe, out), out)


def lose_node(recipe: Path, out: Path, step: str) -> list[str]:
    """A cluster of a head without CPUs and two nodes, one of which is lost in the step."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        child = start(recipe, out, f"cluster.address={cluster.address}")
        begun(out / step, child)
        cluster.remove_node(nodes[-1], allow_graceful=False)
        return finish(child, out)
    finally:
        cluster.shutdown()


def main() -> None:
    """BENCH_MB of real text (20), in BENCH_FOLDER or a temporary folder."""
    top = Path(os.environ.get("BENCH_FOLDER") or tempfile.mkdtemp())
    made = real_text.sources(top / "text", int(os.environ.get("BENCH_MB", "20")) * 1_000_000)
    recipe, shuffled = top / "text.toml", top / "shuffled.toml"
    extra = "[corpus.substring]\nenabled = true\n[corpus]\ngroup_bytes = 1000000\npieces = 8\n"
    recipe.write_text(real_text.recipe(made, extra=extra))
    shuffled.write_text(real_text.recipe(_shuffled(made, top / "other"), extra=extra))
    ways: dict[str, Callable[[Path], list[str]]] = {
        f"{n} workers": lambda out, n=n: finish(start(recipe, out, f"cluster.cpus={n}"), out) for n in (1, 2, 4)
    }
    ways["files under other names, in another order"] = lambda out: finish(start(shuffled, out), out)
    for step in STEPS:
        for name, kill in (("worker", kill_worker), ("driver", kill_driver), ("node", lose_node)):
            ways[f"kill -9 of a {name} in {step}"] = lambda out, kill=kill, step=step: kill(recipe, out, step)
    said: dict[str, list[str]] = {}
    for i, (name, way) in enumerate(ways.items()):
        said[name] = way(top / f"run{i:02d}")
        print(json.dumps({name: said[name]}), flush=True)
        shutil.rmtree(top / f"run{i:02d}")
    calm = next(iter(said.values()))
    same = sum(lines == calm for lines in said.values())
    what = (
        "corpus + tokens, same digests: 1, 2, 4 workers, shuffled files, kills of worker, node, driver at 3 steps each"
    )
    record("text_digests", what, "runs", same, f"all {len(said)}", same == len(said), runs=[said])


def _shuffled(made: dict[str, Path], to: Path) -> dict[str, Path]:
    """The same files under other names, so that their order is another."""
    found = {}
    for name, folder in made.items():
        found[name] = to / name
        found[name].mkdir(parents=True)
        files = sorted(folder.iterdir())
        random.Random(1).shuffle(files)
        for i, path in enumerate(files):
            shutil.copy(path, found[name] / f"{i:06d}{path.suffix}")
    return found


if __name__ == "__main__":
    os.environ |= {k: v for k, v in home.token_environment().items() if v}
    main()
