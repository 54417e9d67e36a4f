import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cluster.errors import RunDirError
from pipeline.sections import Note, Section
from pipeline.stage import StageFolder
from pipeline.views.report import gather, write_report
from tests.support.fake_run import FakeRun, failed, half, views, whole

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def pages(run: FakeRun) -> tuple[str, str]:
    page, twin = write_report(run.root, views())
    return Path(page).read_text(), Path(twin).read_text()


def test_a_whole_run(tmp_path: Path) -> None:
    page, twin = pages(whole(tmp_path / "run"))
    for text in (page, twin):
        assert "33,512" in text
        assert "Predicted beside measured" in text
        assert "24.9 TFLOP" in text
        assert "replica 1 was lost, paused s 1.3" in text
    assert page.count("<svg") == 1 + 2 + 4  # the mark; charts in pairs are drawn once each
    assert 'class="state finished"' in page


def test_a_failed_run_says_which_stage_and_why(tmp_path: Path) -> None:
    page, twin = pages(failed(tmp_path / "run"))
    for text in (page, twin):
        assert "Stage pretrain failed" in text
        assert "no room left on the disk" in text
        assert "Traceback: ..." in text
        assert "2 of 4 stages done" in text
    assert "This stage was not reached." in page


def test_a_run_that_has_only_begun(tmp_path: Path) -> None:
    page, twin = pages(FakeRun(tmp_path / "run"))
    assert "0 of 4 stages done" in page
    assert "not reached" in twin
    (tmp_path / "run/plan.json").unlink()
    page, _ = pages(half(tmp_path / "other"))
    assert "stopped" in page


def test_a_view_that_fails_takes_nothing_else_away(tmp_path: Path) -> None:
    document = gather(whole(tmp_path / "run").root, views())
    broken = document.parts[3]
    assert broken.section is None
    assert broken.problem == "This section could not be drawn: ValueError: an old shape of results.json"
    assert document.parts[0].section is not None


def test_a_summary_over_stages_stands_before_them(tmp_path: Path) -> None:
    def side_by_side(folders: dict[str, StageFolder]) -> Section | None:
        return Section("evaluate", "Side by side", f"{len(folders)} stages.", [Note("All of them.")])

    run = whole(tmp_path / "run")
    page, _ = write_report(run.root, views(), [side_by_side, lambda folders: None])
    text = Path(page).read_text()
    assert text.index("Side by side</h2>") < text.index("Text, cleaned and counted")


def test_the_page_is_self_contained_and_its_links_hold(tmp_path: Path) -> None:
    page, _ = pages(whole(tmp_path / "run"))
    assert "<script" not in page
    assert not re.search(r"""(src|href)=["'](https?:|//)|@import|url\(""", page)
    targets = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= targets


def test_text_of_the_corpus_cannot_become_markup(tmp_path: Path) -> None:
    page, _ = pages(whole(tmp_path / "run"))
    assert "<b>&amp; read" not in page
    assert "&lt;b&gt;&amp; read&lt;/b&gt;" in page
    assert "\x07" not in page


def test_the_report_is_outside_the_lineage(tmp_path: Path) -> None:
    run = whole(tmp_path / "run")
    before = {p: p.read_bytes() for p in Path(run.root).rglob("*") if p.is_file()}
    pages(run)
    after = {p for p in Path(run.root).rglob("*") if p.is_file()}
    assert after - set(before) == {Path(run.root, "report.html"), Path(run.root, "report.md")}
    assert all(p.read_bytes() == data for p, data in before.items())


def test_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirError):
        write_report(str(tmp_path), views())


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_no_sideways_scrolling_on_a_phone_or_a_desk(tmp_path: Path) -> None:
    page, _ = pages(whole(tmp_path / "run"))
    frames = "".join(
        f'<iframe srcdoc="{html.escape(page)}" style="width:{width}px;height:800px;border:0"></iframe>'
        for width in (390, 1280)
    )
    measure = "Array.from(frames, f => f.document.documentElement).map(e => e.scrollWidth - e.clientWidth).join(' ')"
    script = f"<script>onload = () => document.body.innerHTML = '<p>' + {measure} + '</p>'</script>"
    probe = tmp_path / "probe.html"
    probe.write_text(f"<!doctype html><meta charset=utf-8><body>{frames}{script}")
    assert CHROMIUM is not None
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    command = [CHROMIUM, *flags.split(), "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", probe.as_uri()]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r"<p>(-?\d+) (-?\d+)</p>", dumped)
    assert found, dumped[-2000:]
    assert (int(found[1]), int(found[2])) == (0, 0)
