import json
from pathlib import Path

import pytest

from cluster.errors import RunDirError
from pipeline.views.verify import Verdict, verify
from tests.support.fake_run import NO_CONFIG, STAGES, failed, whole


def verdicts(run: str) -> list[Verdict]:
    return list(verify(run, STAGES, NO_CONFIG))


def test_a_sound_run_prints_its_digests(tmp_path: Path) -> None:
    found = verdicts(whole(tmp_path / "run").root)
    assert [one.state for one in found] == ["sound"] * 4
    manifest = json.loads((tmp_path / "run/corpus/manifest.json").read_text())
    assert found[0].line == f"corpus {manifest['digest']}"


def test_two_runs_of_one_config_agree(tmp_path: Path) -> None:
    one, two = (verdicts(whole(tmp_path / name).root) for name in ("one", "two"))
    assert [v.line for v in one] == [v.line for v in two]


def test_a_half_way_run_is_no_fault(tmp_path: Path) -> None:
    found = verdicts(failed(tmp_path / "run").root)
    assert [one.line.split()[1][:6] for one in found[2:]] == ["absent", "absent"]


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    run = whole(tmp_path / "run")
    piece = tmp_path / "run/corpus/kept/00000.json"
    piece.write_text(piece.read_text().replace("To be", "To bf"))
    found = verdicts(run.root)
    assert [one.state for one in found] == ["broken", "sound", "sound", "sound"]
    assert "corpus/kept/00000.json" in found[0].line
    assert "BROKEN" in found[0].line


def test_a_piece_that_is_gone_is_found(tmp_path: Path) -> None:
    run = whole(tmp_path / "run")
    (tmp_path / "run/tokens/index.json").unlink()
    assert "index.json: found missing" in verdicts(run.root)[1].line


def test_a_manifest_that_was_edited_is_found(tmp_path: Path) -> None:
    run = whole(tmp_path / "run")
    path = tmp_path / "run/corpus/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["content"]["counts"]["documents"] = 13
    path.write_text(json.dumps(manifest))
    assert "its content gives" in verdicts(run.root)[0].line


def test_an_input_of_another_run_breaks_the_lineage(tmp_path: Path) -> None:
    run = whole(tmp_path / "run")
    path = tmp_path / "run/tokens/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["fingerprint"] = "f" * 64
    path.write_text(json.dumps(manifest))
    (tmp_path / "run/corpus/manifest.json").unlink()
    found = verdicts(run.root)
    assert [one.state for one in found] == ["absent", "broken", "sound", "sound"]
    assert "its input corpus is absent" in found[1].line


def test_another_config_breaks_the_lineage(tmp_path: Path) -> None:
    run = whole(tmp_path / "run")
    path = tmp_path / "run/pretrain/manifest.json"
    path.write_text(path.read_text().replace(json.loads(path.read_text())["fingerprint"], "f" * 64))
    found = verdicts(run.root)
    assert found[2].state == "broken"
    assert "made under another config" in found[2].line


def test_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirError):
        verdicts(str(tmp_path))
