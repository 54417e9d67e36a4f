"""The whole step on a small corpus: the same fates however it is cut and run, losses told, earlier runs respected."""

from pathlib import Path
from typing import Any

import pytest

from cluster.errors import ConfigError
from pipeline import rows
from pipeline.corpus.near import earlier, tasks
from pipeline.corpus.near.config import DedupConfig
from pipeline.rows import Row
from tests.pipeline.corpus.near.stage import Stage, row
from tests.support.corpus import Writer


def family(name: str, size: int, copies: int) -> list[str]:
    """Texts, each with some copies of few changes; the longest first."""
    say = Writer(name)
    bases = [say.text(30) for _ in range(size)]
    return [*bases, *(f"{text} {name} {i}" for text in bases for i in range(copies))]


@pytest.fixture(scope="module")
def made() -> list[Row]:
    found = [row(text, "a") for text in family("a", 12, 2)] + [row(text, "b") for text in family("b", 12, 0)]
    found += [row(text + " once more", "b") for text in family("a", 12, 0)[:6]]
    return [*found, row("", "a"), row(" .-. ", "b"), row("!", "a"), row("x", "a")]


def run(root: Path, made: list[Row], pieces: int, backwards: bool = False, **dedup: Any) -> Stage:
    stage = Stage(root, made, pieces, **dedup)
    stage.near(backwards)
    return stage


def test_fates_are_the_same_for_any_pieces_and_order_of_tasks(tmp_path: Path, made: list[Row]) -> None:
    expected = run(tmp_path / "1", made, 1).fates()
    assert len(expected) == 30 and {fate["reason"] for fate in expected.values()} == {"similar_text"}
    for pieces in (2, 4, 7):
        assert run(tmp_path / f"{pieces}", made[::-1], pieces, backwards=pieces != 4).fates() == expected


def test_each_fate_names_a_kept_partner_and_its_cluster(tmp_path: Path, made: list[Row]) -> None:
    fates = run(tmp_path, made, 3).fates()
    texts = {row["id"]: row["text"] for row in made}
    clusters: dict[str, set[str]] = {}
    for gone, fate in fates.items():
        assert fate["partner"] not in fates and texts[fate["partner"]][:100] == texts[gone][:100]
        assert fate["score"] >= 0.75
        clusters.setdefault(fate["cluster"], set()).update((gone, fate["partner"]))
    assert len(clusters) == 12 and all(min(members) == cluster for cluster, members in clusters.items())


def test_documents_without_words_are_no_copies_of_each_other(tmp_path: Path) -> None:
    stage = Stage(tmp_path, [row(text) for text in ("", " ", "...", "\u200b", "!!", "word", "Word!")], 2)
    assert stage.near()["removed"] == {"similar_text": 1}
    assert Stage(tmp_path / "none", [], 2).near()["documents"] == 0


def test_a_killed_run_goes_on_and_ends_the_same(tmp_path: Path, made: list[Row]) -> None:
    whole = run(tmp_path / "calm", made, 3)
    for last in range(1, 12, 3):
        stage = Stage(tmp_path / f"{last}", made, 3)
        left = [last]
        runner = stage.runner()

        def dying(label: str, work: Any, tasks: Any, unit: str, left: Any = left, runner: Any = runner) -> None:
            for task in tasks:
                if not left[0]:
                    raise KeyboardInterrupt
                left[0] -= 1
                runner(label, work, [task], unit)

        with pytest.raises(KeyboardInterrupt):
            tasks_of(stage, dying)
        assert stage.near() == whole.context.counts["near_dup"] and stage.fates() == whole.fates()


def tasks_of(stage: Stage, runner: Any) -> None:
    from pipeline.corpus.near.plan import near

    near(stage.context, runner, stage.config)


def test_scope_and_priority(tmp_path: Path, made: list[Row]) -> None:
    source = {row["id"]: row["source"] for row in made}
    within = run(tmp_path / "source", made, 2, scope="source").fates()
    assert {source[gone] for gone in within} == {"a"} and len(within) == 24
    free = run(tmp_path / "free", made, 2).fates()
    assert {source[gone] for gone in free} == {"a"}  # those of b are longer
    first = Stage(tmp_path / "first", made, 2, priority={"a": 1})
    first.near()
    assert sorted(source[gone] for gone in first.fates()) == ["a"] * 24 + ["b"] * 6


def test_quality_decides_before_length(tmp_path: Path) -> None:
    text = family("q", 1, 0)[0]
    good = row(text, meta='{"signals": {"quality": 0.9}}')
    long = row(text + " and one more", meta='{"signals": {"quality": 0.1}}')
    stage = run(tmp_path, [good, long], 2)
    assert list(stage.fates()) == [long["id"]]


def test_a_source_that_loses_much_is_reported(tmp_path: Path, made: list[Row]) -> None:
    stage = run(tmp_path, made, 2, max_loss=0.5)
    lost = stage.context.counts["near_dup"]["lost"]
    assert lost["a"] > 0.5 and lost["b"] == 0
    assert stage.events == [("source_lost", {"step": "near_dup", "source": "a", "share": lost["a"]})]


def test_rounds_that_end_early_are_reported(tmp_path: Path, made: list[Row], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.corpus.near.plan.EDGES_A_TASK", 1)
    calm = run(tmp_path / "many", made, 6)
    assert calm.context.counts["near_dup"]["rounds"] > 1 and not [e for e in calm.events if e[0] != "source_lost"]
    assert calm.fates() == run(tmp_path / "one", made, 1).fates()
    early = run(tmp_path / "early", made, 6, rounds=1)
    assert not early.context.counts["near_dup"]["converged"] and early.events[0][0] == "clusters_unfinished"


def test_bytes_moved_are_counted_and_bounded(tmp_path: Path, made: list[Row]) -> None:
    stage = run(tmp_path, made, 4)
    exchanged = [p for p in stage.folder.pieces(tasks.WORK) if p.endswith(".bin") and "members" not in p]
    written = sum(int((stage.folder.record(piece) or {})["bytes"]) for piece in exchanged)
    counts = stage.context.counts["near_dup"]
    assert counts["bytes_moved"] == written - len(exchanged) * (16 + 24 * 4)  # the heads of pieces are not moved


def test_copies_in_one_piece_move_less_than_their_keys(tmp_path: Path) -> None:
    stage = Stage(tmp_path, [row("the same words again and again " + "!" * i) for i in range(500)], 2)
    counts = stage.near()
    assert counts["removed"] == {"similar_text": 499} and counts["compared"] == 499
    assert counts["bytes_moved_a_document"] < 14 * 8


def test_a_new_dump_is_compared_with_the_index_of_earlier_ones(tmp_path: Path, made: list[Row]) -> None:
    old = finished(tmp_path / "old", made[:40], 3)
    more = finished(tmp_path / "more", [row(text, "c") for text in family("c", 5, 0)], 1)
    new = [row(text + " of a new dump", "a") for text in family("a", 12, 0)]
    new += [row(text + " too", "a") for text in family("c", 5, 0)] + [row("quite another text, never seen", "a")]
    stages = [
        run(tmp_path / f"new{pieces}", new, pieces, against=(str(tmp_path / "old"), str(tmp_path / "more")))
        for pieces in (1, 2, 5)
    ]
    fates = stages[0].fates()
    assert all(stage.fates() == fates for stage in stages)
    assert set(fates) == {row["id"] for row in new[:-1]}
    kept = {
        row["id"]
        for stage in (old, more)
        for n in range(stage.config.pieces)
        for row in stage.folder.read_table(rows.piece("kept", n)).to_pylist()
    }
    assert all(fate["partner"] in kept and fate["cluster"] in fates for fate in fates.values())


def test_what_an_earlier_run_held_out_is_no_training_text_of_a_later_one(tmp_path: Path, made: list[Row]) -> None:
    held = made[2], made[5]
    finished(tmp_path / "old", made[:12], 2, held)
    new = [row(made[i]["text"] + " of a new dump", "a") for i in (1, 2, 5)]
    fates = run(tmp_path / "new", new, 3, against=(str(tmp_path / "old"),)).fates()
    assert {fates[row["id"]]["partner"] for row in new} == {made[i]["id"] for i in (1, 2, 5)}
    assert [r["id"] for t in earlier.heldout(DedupConfig(against=(str(tmp_path / "old"),))) for r in t.to_pylist()] == (
        sorted(row["id"] for row in held)
    )
    assert not list(earlier.heldout(DedupConfig(against=(str(tmp_path / "old"),), enabled=False)))


def finished(root: Path, made: list[Row], pieces: int, held: tuple[Row, ...] = ()) -> Stage:
    """A run that has ended, its index written."""
    stage = run(root, made, pieces)
    stage.held = {row["id"] for row in held}
    stage.keep()
    earlier.index(stage.context, stage.runner(), stage.config)
    stage.folder.storage.put("corpus/manifest.json", b'{"fingerprint": "f", "digest": "d"}')
    return stage


def test_the_index_does_not_depend_on_how_it_was_made(tmp_path: Path, made: list[Row]) -> None:
    one, other = (finished(tmp_path / name, rows_of, 2) for name, rows_of in (("one", made), ("other", made[::-1])))
    names = one.folder.pieces("index/")
    assert names == ["index/00000.bin", "index/00001.bin", "index/scheme.json"]
    assert all(one.folder.read_bytes(name) == other.folder.read_bytes(name) for name in names)


def test_runs_that_cannot_be_compared_with_are_refused(tmp_path: Path, made: list[Row]) -> None:
    finished(tmp_path / "old", made[:5], 1)
    config = DedupConfig(against=(str(tmp_path / "old"),))
    assert earlier.outside(config) and not earlier.outside(DedupConfig())
    for wrong, words in (
        (DedupConfig(against=(str(tmp_path / "none"),)), "no finished corpus"),
        (config.model_copy(update={"bands": 20}), "cannot be compared"),
    ):
        with pytest.raises(ConfigError, match=words):
            earlier.outside(wrong)
    with pytest.raises(ConfigError, match="named twice"):
        DedupConfig(against=("a", "a"))
