"""Corpus and tokens on a real Ray cluster."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from cluster.errors import CorruptPiece
from pipeline.config import RunConfig
from pipeline.corpus import job as corpus_job
from pipeline.corpus.config import CorpusConfig
from pipeline.sections import Table
from pipeline.stage import StageContext, StageFolder
from pipeline.tokens import inspect, job, view
from pipeline.tokens.config import TokensConfig
from pipeline.tokens.pieces import TokenReader
from tests.pipeline.corpus.test_prepare import make as make_corpus
from tests.pipeline.corpus.test_prepare import said
from tests.pipeline.tokens.tiny import documents, make, write_corpus
from tests.support import corpus
from tests.support.context import Heard, context

TOKENS = TokensConfig(vocab_size=512, weights={"docs": 2.0}, temperature=1.5)


def run_both(run: Path, settings: CorpusConfig) -> tuple[StageFolder, StageFolder, Heard]:
    config = cast(RunConfig, SimpleNamespace(corpus=settings, tokens=TOKENS))
    first, _ = context(str(run), "corpus", config)
    corpus_job.run(first)
    second, heard = context(str(run), "tokens", config, ("corpus",))
    job.run(second)
    return first.folder, second.folder, heard


@pytest.mark.ray
def test_both_stages_on_ray(ray_session: Path, tmp_path: Path) -> None:
    """Ray gives what a loop gives; all text is encoded; a second run makes nothing; the views show it."""
    settings = corpus.config(tmp_path / "files")
    made, tokens, heard = run_both(tmp_path / "run", settings)
    assert said(made) == said(make_corpus(tmp_path / "loop", settings)[0])
    index, mixture = tokens.read_json("index.json"), tokens.read_json("mixture.json")
    funnel = made.read_json("funnel.json")
    assert {s: f["bytes"] for s, f in index["train"].items()} == {
        s: f["decontaminate"]["bytes"] for s, f in funnel.items()
    }
    assert sum(f["documents"] for f in index["heldout"].values()) == sum(
        made.record(p)["rows"] for p in made.pieces("heldout/")
    )  # type: ignore[index]
    assert set(TokenReader(tokens, "train").sources) == set(funnel)
    assert (
        mixture["weights"]["docs"] == 2.0
        and mixture["sources"]["docs"]["asked"] > mixture["sources"]["docs"]["natural"]
    )
    assert heard.bars["encoding"] == sum(f["documents"] for split in index.values() for f in split.values())
    before = said(tokens)
    assert said(run_both(tmp_path / "run", settings)[1]) == before
    section = view.section(tokens, {})
    assert section is not None and "training tokens" in section.lead
    assert heard.bars["counting words"] == sum(f["documents"] for f in index["train"].values())


def run_tokens(run: Path, tokens: TokensConfig) -> tuple[StageContext, Heard]:
    config = cast(RunConfig, SimpleNamespace(tokens=tokens))
    ctx, heard = context(str(run), "tokens", config, ("corpus",))
    job.run(ctx)
    return ctx, heard


@pytest.mark.ray
def test_the_tokeniser_is_made_on_ray_as_in_a_loop(ray_session: Path, tmp_path: Path) -> None:
    """The same pieces; a second run makes nothing; what was counted is shown; a file takes the place of counting."""
    made = documents()
    config = TokensConfig(vocab_size=400, count_parts=3, max_words=200, budgets={"notes": 500})
    write_corpus(tmp_path, 3, made)
    ctx, heard = run_tokens(tmp_path, config)
    loop = make(tmp_path / "loop", write_corpus(tmp_path / "loop", 1, made), config)
    for piece in ("tokenizer.json", "counts.json", "counts/00000.parquet"):
        assert ctx.folder.record(piece)["sha256"] == loop.record(piece)["sha256"]  # type: ignore[index]
    assert ctx.counts["words"] == loop.read_json("counts.json") and ctx.counts["words"]["kept_words"] == 200
    assert heard.bars["counting words"] == heard.bars["encoding"] == 60
    assert heard.bars["adding up words"] == 3 and heard.bars["training the tokeniser"] == 400
    mixture = ctx.folder.read_json("mixture.json")
    assert abs(mixture["sources"]["notes"]["got"] * mixture["total"] - 500) < 1
    before = said(ctx.folder)
    again, heard = run_tokens(tmp_path, config)
    assert said(again.folder) == before and "counting words" not in heard.bars
    titles = [block.title for block in inspect.inspect(again.folder).blocks if isinstance(block, Table)]
    assert titles[0] == "Tokeniser" and titles[-1] == "Words"
    path = tmp_path / "loop" / "tokens" / "tokenizer.json"
    write_corpus(tmp_path / "file", 1, made)
    taken, _ = run_tokens(tmp_path / "file", TokensConfig(vocab_size=400, file=str(path)))
    assert taken.folder.read_bytes("tokenizer.json") == path.read_bytes() and "words" not in taken.counts


@pytest.mark.ray
def test_an_error_inside_a_task_arrives_as_ours(ray_session: Path, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path, 2, documents())
    path = corpus.local("kept/00001.parquet")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptPiece, match="kept/00001") as caught:
        run_tokens(tmp_path, TokensConfig())
    assert type(caught.value) is CorruptPiece
