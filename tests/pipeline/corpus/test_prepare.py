"""The whole corpus stage on the tiny corpus, run by a loop instead of Ray."""

import json
import random
import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cluster.data import Task
from cluster.errors import CorruptPiece, SourceError, UserError
from pipeline import rows
from pipeline.config import RunConfig
from pipeline.corpus import inspect, items, view
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.prepare import prepare
from pipeline.corpus.readers.config import Source
from pipeline.corpus.work import Work
from pipeline.sections import Examples
from pipeline.stage import StageFolder
from tests.support import corpus
from tests.support.context import Heard, context


def make(
    run: Path, config: CorpusConfig, *, shuffle: int = 0, stop_after: int = 10**9
) -> tuple[StageFolder, Heard, dict[str, Any]]:
    """Run the stage; ``stop_after`` so many tasks it dies."""
    ctx, heard = context(str(run), "corpus", cast(RunConfig, SimpleNamespace(corpus=config)))
    done = 0

    def loop(label: str, work: Work, tasks: list[Task], unit: str) -> None:
        nonlocal done
        order = list(tasks)
        random.Random(shuffle).shuffle(order)
        for task in order:
            if not ctx.folder.done(task.name):
                if done == stop_after:
                    raise KeyboardInterrupt
                work(**task.arguments)
                done += 1

    prepare(ctx, loop)
    return ctx.folder, heard, {**ctx.counts, "tasks": done}


def said(folder: StageFolder) -> dict[str, str]:
    """What the pieces outside the scratch say."""
    found = {piece: folder.record(piece) for piece in folder.pieces() if not piece.startswith(("work/", "timing/"))}
    return {piece: str(record and record["sha256"]) for piece, record in found.items()}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def config(files: Path) -> CorpusConfig:
    return corpus.config(files)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, config: CorpusConfig) -> tuple[StageFolder, dict[str, Any]]:
    folder, _, counts = make(tmp_path_factory.mktemp("run"), config)
    return folder, counts


def read(folder: StageFolder, prefix: str) -> list[dict[str, Any]]:
    return [row for piece in folder.pieces(f"{prefix}/") for row in folder.read_table(piece).to_pylist()]


def test_nothing_is_lost_or_counted_twice(made: tuple[StageFolder, dict[str, Any]], config: CorpusConfig) -> None:
    folder, counts = made
    kept, held, dropped = (read(folder, prefix) for prefix in ("kept", "heldout", "dropped"))
    funnel = folder.read_json("funnel.json")
    found = sum(s["read"]["documents"] + sum(s["read"]["dropped"].values()) for s in funnel.values())
    assert len(kept) + len(held) + len(dropped) == found == 458
    assert counts["kept"] == {"documents": len(kept), "bytes": sum(len(row["text"].encode()) for row in kept)}
    assert counts["dropped"] == len(dropped) and counts["heldout"]["documents"] == len(held)
    for rows_of, step in ((kept, "decontaminate"),):
        by_source = Counter(row["source"] for row in rows_of)
        assert {s: steps[step]["documents"] for s, steps in funnel.items()} == {s: by_source[s] for s in funnel}
    by_reason = Counter((row["source"], row["step"], row["reason"]) for row in dropped)
    told = {
        (s, step, r): n
        for s, st in funnel.items()
        for step in st
        for r, n in st[step]["dropped"].items()
        if step != "split"
    }
    assert told == dict(by_reason)
    for piece in [*folder.pieces("kept/"), *folder.pieces("heldout/"), *folder.pieces("dropped/")]:
        ids = folder.read_table(piece)["id"].to_pylist()
        assert ids == sorted(ids) and {rows.piece_of(i, config.pieces) for i in ids} <= {int(piece[-13:-8])}


def test_each_kind_of_bad_document_has_its_reason(made: tuple[StageFolder, dict[str, Any]]) -> None:
    folder, _ = made
    dropped = read(folder, "dropped")
    reasons = Counter((row["step"], row["reason"]) for row in dropped)
    assert reasons["read", "invalid_utf8"] == 2 and reasons["read", "too_long"] == 1
    assert reasons["filter", "basic.min_speakers < 2"] == 11
    assert reasons["filter", "basic.max_foreign > 0.3"] == 24
    assert reasons["filter", "basic.max_table > 0.3"] >= 1 and reasons["exact_dup", "same_text"] >= 3
    assert reasons["near_dup", "similar_text"] >= 5
    kept = {row["id"] for row in [*read(folder, "kept"), *read(folder, "heldout")]}
    everything = kept | {row["id"] for row in dropped}
    for row in dropped:
        if row["step"] in ("exact_dup", "near_dup", "decontaminate"):
            assert row["partner"] in everything and row["score"] > 0
    assert {row["partner"] for row in dropped if row["step"] == "decontaminate"} <= {
        r["id"] for r in read(folder, "heldout")
    }


def test_the_counts_name_the_hash_schemes(made: tuple[StageFolder, dict[str, Any]]) -> None:
    _, counts = made
    assert counts["near_dup"]["scheme"] == "bands-1 of affine32 over words-2, seed 1"
    assert counts["decontamination_scheme"] == "words-2"


def test_no_held_out_passage_is_in_the_training_text(made: tuple[StageFolder, dict[str, Any]]) -> None:
    folder, counts = made
    training = "\0".join(" ".join(row["text"].split()) for row in read(folder, "kept"))
    asked = [*folder.read_jsonl("items/choice.jsonl"), *folder.read_jsonl("items/cloze.jsonl")]
    assert len(asked) == counts["items"]["choice"] + counts["items"]["cloze"] >= 60
    assert not [item["id"] for item in asked if " ".join(item["context"].split()) in training]
    assert len(asked[0].get("choices", range(4))) == items.CHOICES


def test_order_of_tasks_grouping_and_file_names_do_not_show(
    made: tuple[StageFolder, dict[str, Any]], config: CorpusConfig, files: Path, tmp_path: Path
) -> None:
    other = tmp_path / "files"
    shutil.copytree(files, other)
    for i, path in enumerate(sorted((other / "code").iterdir(), reverse=True)):
        path.rename(path.with_name(f"renamed_{i:03d}.py"))
    moved = tuple(
        s.model_copy(update={"path": s.path.replace(str(files), str(other))}) for s in reversed(config.sources)
    )
    changed = config.model_copy(update={"sources": moved, "group_bytes": 9_000})
    folder, _, counts = make(tmp_path / "run", changed, shuffle=7)
    assert said(folder) == said(made[0])
    assert {**counts, "tasks": 0} == {**made[1], "tasks": 0}


def test_a_killed_stage_goes_on_with_the_pieces_that_stand(
    made: tuple[StageFolder, dict[str, Any]], config: CorpusConfig, tmp_path: Path
) -> None:
    total = 0
    for stop in (3, 8, 2):
        with pytest.raises(KeyboardInterrupt):
            make(tmp_path, config, stop_after=stop)
        total += stop
    folder, _, counts = make(tmp_path, config)
    assert total + counts["tasks"] == made[1]["tasks"]
    assert said(folder) == said(made[0])


def test_a_corrupted_piece_is_told(config: CorpusConfig, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, config, stop_after=14)
    folder = StageFolder.open(str(tmp_path), "corpus")
    for piece in folder.pieces("work/read/"):
        if piece.endswith(".bin"):
            path = folder.local(piece)
            path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(CorruptPiece, match="work/read"):
        make(tmp_path, config)


def test_no_text_left_is_an_error_of_the_user(config: CorpusConfig, tmp_path: Path) -> None:
    strict = config.model_copy(
        update={
            "rules": config.rules.model_copy(
                update={"basic": config.rules.basic.model_copy(update={"min_words": 10**6})}
            )
        }
    )
    with pytest.raises(UserError, match=r"no document is left.* by filter, basic.min_words < 1e\+06; .* by .*; .* by "):
        make(tmp_path, strict)


@pytest.mark.parametrize("texts", [[""], ["", " \n"]])
def test_an_empty_corpus_is_an_error_of_the_user(config: CorpusConfig, tmp_path: Path, texts: list[str]) -> None:
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.txt").write_text(text)
    only = config.model_copy(update={"sources": (Source(name="a", kind="text", path=f"{tmp_path}/*.txt"),)})
    with pytest.raises(UserError, match="no document is left"):
        make(tmp_path / "run", only)


def test_a_large_cluster_is_text_once_and_no_held_out_text_has_a_copy(config: CorpusConfig, tmp_path: Path) -> None:
    say = corpus.Writer("cluster")
    body = say.text(20)
    for number in range(60):
        (tmp_path / f"c{number}.txt").write_text(f"{body} {' '.join(say.random.sample(say.words, 2))}")
        (tmp_path / f"o{number}.txt").write_text(say.text(20))
    only = config.model_copy(
        update={"heldout": 0.3, "sources": (Source(name="a", kind="text", path=f"{tmp_path}/*.txt"),)}
    )
    folder, _, _ = make(tmp_path / "run", only)
    copies = [row for kind in ("kept", "heldout") for row in read(folder, kind) if row["text"].startswith(body)]
    assert len(copies) == 1 and len(read(folder, "heldout")) > 10
    assert not [row for row in read(folder, "dropped") if row["step"] == "decontaminate"]


def test_a_source_that_gives_none_is_text_and_is_told(config: CorpusConfig, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(corpus.Writer("book").text(50))
    more = (*config.sources, Source(name="book", kind="text", path=f"{tmp_path}/book.txt"))
    folder, heard, _ = make(tmp_path / "run", config.model_copy(update={"sources": more, "heldout": 0.4}))
    assert "book" in {row["source"] for row in read(folder, "kept")}
    assert {"kind": "held_out_none", "source": "book", "documents": 1} in heard.events


def test_exact_duplicates_that_take_much_of_a_source_are_told(config: CorpusConfig, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(
            "".join(json.dumps({"text": corpus.Writer(f"{i}").text(9), "n": name}) + "\n" for i in range(20))
        )
    fields = {"text": "text", "n": "n"}
    sources = tuple(Source(name=n, kind="jsonl", path=f"{tmp_path}/{n}.jsonl", fields=fields) for n in ("a", "b"))
    folder, heard, _ = make(tmp_path / "run", config.model_copy(update={"sources": sources}))
    funnel, lost = folder.read_json("funnel.json"), [e for e in heard.events if e.get("step") == "exact_dup"]
    gone = {s: 1 - steps["exact_dup"]["bytes"] / steps["filter"]["bytes"] for s, steps in funnel.items()}
    assert [(e["kind"], e["source"]) for e in lost] == [("source_lost", s) for s in gone if gone[s] > 0.5]
    assert lost and all(e["share"] == round(gone[e["source"]], 4) for e in lost)


def test_a_later_run_shows_the_partner_in_the_earlier_one_and_takes_none_of_its_held_out_text(
    made: tuple[StageFolder, dict[str, Any]], config: CorpusConfig, tmp_path: Path
) -> None:
    old, _ = made
    old.storage.put("corpus/manifest.json", b'{"fingerprint": "f", "digest": "d"}')
    held = max((row["text"] for row in read(old, "heldout") if row["source"] == "docs"), key=len)
    say, kept = corpus.Writer("later"), max((row["text"] for row in read(old, "kept")), key=len)
    quoted = f"{say.text(30)} {' '.join(held.split()[20:80])} {say.text(30)}"
    texts = [f"{held} again", f"{kept} again", quoted, *(say.text(20) for _ in range(30))]
    (tmp_path / "new.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    new = {
        "sources": (Source(name="new", kind="jsonl", path=f"{tmp_path}/new.jsonl"),),
        "dedup": config.dedup.model_copy(update={"against": (old.run,)}),
        "heldout": 1e-9,
        "heldout_documents": 1,
    }
    folder, _, _ = make(tmp_path / "run", config.model_copy(update=new))
    assert len(read(folder, "dropped")) == 3 and len(read(folder, "kept")) == 29
    for step, count in (("near_dup", 2), ("decontaminate", 1)):
        (block,) = inspect.inspect(folder, step).blocks
        assert isinstance(block, Examples) and len(block.items) == count
        assert all(example.partner.startswith(f"[in the run {old.run}]\n") for example in block.items)


def test_a_broken_benchmark_ends_the_run_before_it_reads(config: CorpusConfig, tmp_path: Path) -> None:
    (tmp_path / "quiz.jsonl.gz").write_bytes(b"no")
    against = config.decontaminate.model_copy(update={"against": (f"{tmp_path}/quiz.jsonl.gz",)})
    with pytest.raises(SourceError, match="not_gzip"):
        make(tmp_path / "run", config.model_copy(update={"decontaminate": against}), stop_after=0)


def test_a_document_that_holds_a_benchmark_item_is_shown(config: CorpusConfig, tmp_path: Path) -> None:
    question = "Which of the two rivers of the old town was crossed by the first bridge that was made of stone?"
    say = corpus.Writer("shown")
    for number in range(30):
        (tmp_path / f"{number}.txt").write_text(f"{say.text(9)} {question if number < 3 else ''} {say.text(9)}")
    (tmp_path / "quiz.jsonl").write_text(json.dumps({"q": question}))
    only = {
        "sources": (Source(name="a", kind="text", path=f"{tmp_path}/*.txt"),),
        "decontaminate": config.decontaminate.model_copy(update={"against": (f"{tmp_path}/quiz.jsonl",)}),
    }
    folder, _, _ = make(tmp_path / "run", config.model_copy(update=only))
    (block,) = inspect.inspect(folder, "decontaminate").blocks
    assert isinstance(block, Examples) and {e.fields["partner"] for e in block.items} == {"quiz:1"}


def test_without_dedup_near_duplicates_stay(
    config: CorpusConfig, made: tuple[StageFolder, dict[str, Any]], tmp_path: Path
) -> None:
    off = config.model_copy(update={"dedup": config.dedup.model_copy(update={"enabled": False})})
    folder, _, _ = make(tmp_path, off)
    assert not [row for row in read(folder, "dropped") if row["step"] == "near_dup"]
    assert len(read(folder, "kept")) > len(read(made[0], "kept"))


def test_the_report_and_inspect_show_drops_beside_their_partners(made: tuple[StageFolder, dict[str, Any]]) -> None:
    folder, _ = made
    section = view.section(folder, {})
    assert section is not None and "held out" in section.lead
    look = inspect.inspect(folder, "near_dup", None, 4)
    (block,) = look.blocks
    assert isinstance(block, Examples) and len(block.items) == 4
    assert all(example.partner and example.fields["score"] for example in block.items)
    assert len(inspect.inspect(folder).blocks) == 3
    assert inspect.inspect(folder, "kept", "docs", 2).lead == "2 documents of step kept, source docs."
    with pytest.raises(UserError, match="--step"):
        inspect.inspect(folder, "nearly")
    with pytest.raises(UserError, match="--source"):
        inspect.inspect(folder, None, "books")


def test_an_unfinished_stage_has_no_section(tmp_path: Path) -> None:
    folder = StageFolder.open(str(tmp_path), "corpus")
    assert view.section(folder, {}) is None
    with pytest.raises(UserError, match="not finished"):
        inspect.inspect(folder)


def test_a_record_that_two_groups_read_is_cut_once(config: CorpusConfig, tmp_path: Path) -> None:
    """Its cuts are those of one document, however the input was grouped."""
    line = "Write to anna.berg@somewhere.net when the long report about the river is ready for the printer.\n"
    for number in range(60):
        (tmp_path / f"{number}.txt").write_text(
            line if number < 20 else f"{line}Note {number} of the harbour office.\n"
        )
    only = config.model_copy(update={"sources": (Source(name="a", kind="text", path=f"{tmp_path}/*.txt"),)})
    off = only.model_copy(update={"dedup": only.dedup.model_copy(update={"enabled": False})})
    one, _, _ = make(tmp_path / "one", off)
    many, _, _ = make(tmp_path / "many", off.model_copy(update={"group_bytes": 1_024}))
    assert said(many) == said(one)
    kept = {row["id"] for row in [*read(one, "kept"), *read(one, "heldout")]}
    assert kept and Counter(row["id"] for row in read(one, "cuts")) == dict.fromkeys(kept, 1)
