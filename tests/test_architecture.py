"""The house holds: imports only go down, ray and torch stay in their rooms, files stay one concept long."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("cluster", "models", "tune", "pipeline")
ORDER = ("corpus", "tokens", "pretrain", "search", "evaluate", "finetune", "reward", "rlhf", "export")
LONGEST = 400  # lines
LEAVES = (  # folders of adapters, which the core reaches by name; their config.py is core
    "cluster.clouds",
    "models.inits",
    "models.kinds",
    "models.layouts",
    "models.mlps",
    "models.norms",
    "models.optimizers",
    "models.parallel",
    "models.positions",
    "models.presets",
    "models.vocabularies",
    "pipeline.corpus.markups",
    "pipeline.corpus.private",
    "pipeline.corpus.readers",
    "pipeline.corpus.rules",
    "pipeline.corpus.signals",
    "pipeline.evaluate.adapters",
    "pipeline.export.targets",
    "pipeline.pretrain.options",
    "pipeline.pretrain.trackers",
    "pipeline.views",
)
SIGHTS = ("view", "look", "inspect", "compare")  # files of a stage folder that only look at what it made

FLOORS = {
    "models": 0.0,
    "cluster": 0.0,
    "cluster.actors": 1.0,
    "cluster.connect": 1.0,
    "cluster.data": 1.0,
    "cluster.clouds": 1.0,
    "cluster.jobs": 1.0,
    "cluster.launch": 1.0,
    "cluster.train_host": 1.0,
    "tune": 2.0,
    "pipeline": 3.0,
    "pipeline.stages": 5.1,
    "pipeline.ready": 5.2,
    "pipeline.run": 5.2,
    "pipeline.views": 5.3,
    "pipeline.cli": 5.4,
    "pipeline.cli_jobs": 5.3,
    "pipeline.__main__": 5.5,
}


def modules() -> list[str]:
    return [module_of(path) for path in sources()]


def sources() -> list[Path]:
    return sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor(module: str) -> float:
    parts = module.split(".")
    if parts[0] == "pipeline" and len(parts) > 1 and parts[1] in ORDER:
        return 3.0 if parts[-1].endswith("config") else 4.0 + ORDER.index(parts[1]) / 100
    while parts:
        if ".".join(parts) in FLOORS:
            return FLOORS[".".join(parts)]
        parts.pop()
    raise AssertionError(f"{module} stands on no floor")


def imports(path: Path, top_only: bool = False) -> list[str]:
    """Modules that a file imports, not those under ``if TYPE_CHECKING``."""
    tree = ast.parse(path.read_text())
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found = []
    for node in tree.body if top_only else ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def ours(names: list[str]) -> list[str]:
    known = set(modules())
    return [n for n in names if n.split(".")[0] in PACKAGES and n in known]


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_imports_only_go_down(path: Path) -> None:
    me = module_of(path)
    for target in ours(imports(path)):
        assert floor(target) <= floor(me), f"{me} (floor {floor(me)}) imports {target} (floor {floor(target)})"
        pair = {me.split(".")[0], target.split(".")[0]}
        assert pair != {"models", "cluster"}, f"{me} imports {target}: models and cluster do not know each other"
        assert pair != {"tune", "models"}, f"{me} imports {target}: the search knows no model"


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_no_folder_imports_another_job(path: Path) -> None:
    me = module_of(path)
    for target in ours(imports(path)):
        if target.endswith(".job"):
            assert target.rsplit(".", 1)[0] == me.rsplit(".", 1)[0], f"{me} imports {target}"


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_ray_and_torch_stay_in_their_rooms(path: Path) -> None:
    me = module_of(path)
    tops = {name.split(".")[0] for name in imports(path)}
    if "ray" in tops:
        allowed = floor(me) == 1.0 or me == "tune.search" or me.endswith(".job")
        assert allowed, f"{me} imports ray"
    if tops & {"torch", "torchft"}:
        assert me.split(".")[0] in ("models", "pipeline"), f"{me} imports torch"
        last = me.split(".")[-1]
        assert not last.endswith("config"), f"{me} imports torch"
        assert me.startswith("models") or last not in ("report", "view", "stage", "status"), f"{me} imports torch"


@pytest.mark.parametrize("path", [p for p in sources() if p.name.endswith("config.py")], ids=module_of)
def test_configs_are_schemas_only(path: Path) -> None:
    heavy = {"torch", "ray", "pyarrow", "numpy", "tokenizers"} & {n.split(".")[0] for n in imports(path)}
    assert not heavy, f"{path} imports {heavy}"


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_files_stay_one_concept_long(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= LONGEST, f"{path.relative_to(ROOT)} has {lines} lines: which concept leaves?"


@pytest.mark.parametrize("path", [p for p in sources() if p.name == "__init__.py"], ids=module_of)
def test_packages_hold_a_docstring_and_nothing_else(path: Path) -> None:
    body = ast.parse(path.read_text()).body
    assert len(body) == 1
    assert isinstance(body[0], ast.Expr)


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"


def leaf_folder(module: str) -> str | None:
    """The folder of adapters that a module belongs to, or the room of a stage's sights."""
    folder, _, name = module.rpartition(".")
    if name in SIGHTS and folder.removeprefix("pipeline.") in ORDER:
        return f"{folder}.view"
    found = [leaf for leaf in LEAVES if f"{folder}.".startswith(f"{leaf}.")]
    return found[0] if found and not name.endswith("config") else None


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_leaves_are_reached_by_name_alone(path: Path) -> None:
    me = module_of(path)
    for target in ours(imports(path)):
        assert leaf_folder(target) in (None, leaf_folder(me)), f"{me} imports the adapter {target}"


def code_lines(path: Path) -> int:
    """Lines of code: no blank lines, comments or docstrings, which are what makes the rest quick to read."""
    text = path.read_text()
    said: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        body = getattr(node, "body", None)
        for first in body if isinstance(body, list) else []:
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                said |= set(range(first.lineno, (first.end_lineno or 0) + 1))
    lines = enumerate(text.splitlines(), 1)
    return sum(i not in said and bool(line.strip()) and line.strip()[0] != "#" for i, line in lines)


def test_the_core_can_be_read_in_a_day() -> None:
    """12,000 lines of code. Leaves do not count: nothing imports them, so nothing needs them to be understood."""
    assert sum(code_lines(path) for path in sources() if not leaf_folder(module_of(path))) <= 12_000


def test_no_pickle_from_a_path() -> None:
    """Nothing that a path holds is unpickled, and no YAML tag builds an object."""
    for path in sources():
        text = path.read_text()
        for trap in ("pickle.load", "torch.load(", "Tuner.restore", "joblib", "yaml.load(", "yaml.unsafe"):
            assert trap not in text, f"{path} uses {trap}"


@pytest.mark.parametrize("module", ["pipeline.cli", "pipeline.config", "pipeline.recipes"])
def test_the_command_line_is_light(module: str) -> None:
    heavy = ("torch", "ray", "pyarrow", "numpy", "rich.progress")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_packages_resolve_in_the_checkout() -> None:
    import importlib

    for name in PACKAGES:
        file = importlib.import_module(name).__file__
        assert file
        assert Path(file).resolve().is_relative_to(ROOT)


def test_the_house_has_no_other_rooms() -> None:
    """What runs and benchmarks leave in the checkout must not be committed with it."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not listed:
        pytest.skip("not a git checkout")
    found = {name.split("/")[0] for name in listed if "/" in name and not name.startswith(".")}
    assert found == {"benchmarks", "cluster", "docs", "models", "pipeline", "tests", "tune"}
