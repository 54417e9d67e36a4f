"""The README says what is true: its commands exist, its tree stands, it is short."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import app
from pipeline.config import check_dialogues
from pipeline.recipes import load
from pipeline.stages import JOURNEY

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
VERBS = {c.name or (c.callback.__name__ if c.callback else "") for c in app.registered_commands}


def test_it_is_short() -> None:
    assert len(README.splitlines()) < 250


def test_the_two_commands_come_first_and_are_targets() -> None:
    assert re.findall(r"^make (\w+)", README, re.M)[:2] == ["run", "test"]
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"\bmake (\w+)`", README + CONTRIBUTING)) | {"run", "test"}:
        assert re.search(rf"^{target}:", makefile, re.M), f"make {target}"


def test_every_verb_that_is_shown_exists_and_every_verb_is_shown() -> None:
    shown = set(re.findall(r"firstlight ([a-z]+)", README))
    assert shown - {"trains"} == VERBS


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    command = [sys.executable, "-m", "pipeline", verb, "--help"]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"Example: firstlight {verb}" in " ".join(out.split())


def test_the_recipe_of_ones_own_is_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(README.split("```toml\n")[1].split("```")[0])
    config = load(str(path), [])
    check_dialogues(config)
    assert [source.name for source in config.corpus.sources] == ["mine", "chats"]


def test_the_tree_stands() -> None:
    tree = README.split("## The house")[1].split("A run directory")[0]
    for package in re.findall(r"^(\w+)/ ", tree, re.M):
        assert (ROOT / package).is_dir(), package
    package = ""
    for line in tree.splitlines():
        if match := re.match(r"^(\w+)/ ", line):
            package = match[1]
        elif match := re.match(r"^  ([a-z_/]+(?: [a-z_/]+)*)(?:  |$)", line):
            for name in match[1].split():
                place = ROOT / package / name.rstrip("/")
                assert place.is_dir() or place.with_suffix(".py").exists(), f"{package}/{name}"


def test_every_stage_folder_is_in_the_tree_and_has_its_shape() -> None:
    for stage in JOURNEY:
        folder = ROOT / "pipeline" / stage.package
        assert f"{stage.package}/" in README
        for name in ("config.py", "job.py", "view.py"):
            assert (folder / name).exists(), f"{folder}/{name}"


def test_links_lead_somewhere_and_no_gap_is_left() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README + CONTRIBUTING):
        assert (ROOT / target).exists(), target
    assert not re.search(r"@[A-Z]+@", README)
    assert (ROOT / "constraints.txt").exists()


def test_files_that_are_named_exist() -> None:
    for path in re.findall(
        r"`((?:models|pipeline|cluster|tests|benchmarks)/[\w/]+\.(?:py|json))`", README + CONTRIBUTING
    ):
        assert (ROOT / path).exists(), path


def test_no_registry_host_and_no_machine_path_is_named() -> None:
    for path in [*ROOT.glob("*.*"), *ROOT.glob("docs/*"), ROOT / "Makefile"]:
        if path.is_file():
            text = path.read_text()
            assert not re.search(r"pypi\.org|pythonhosted|/work/|/opt/", text), path
