"""Corpus and tokens on a real Ray cluster."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from cluster.errors import SourceError
from pipeline.config import RunConfig
from pipeline.corpus import job as corpus_job
from pipeline.corpus.config import CorpusConfig
from pipeline.stage import StageFolder
from pipeline.tokens import inspect, job, view
from pipeline.tokens.config import TokensConfig
from pipeline.tokens.pieces import TokenReader
from tests.pipeline.corpus.test_prepare import make, said
from tests.support import corpus
from tests.support.context import Heard, context

TOKENS = TokensConfig(vocab_size=512, sample_bytes=200_000, weights={"docs": 2.0}, temperature=1.5)


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
    assert said(made) == said(make(tmp_path / "loop", settings)[0])
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
    assert len(inspect.inspect(tokens).blocks) == 3


@pytest.mark.ray
def test_an_error_inside_a_task_arrives_as_ours(ray_session: Path, tmp_path: Path) -> None:
    (tmp_path / "chats.json").write_text("[1, 2")
    sources = [{"name": "chats", "kind": "chats", "path": str(tmp_path / "chats.json")}]
    config = cast(RunConfig, SimpleNamespace(corpus=CorpusConfig.model_validate({"sources": sources})))
    ctx, _ = context(str(tmp_path / "run"), "corpus", config)
    with pytest.raises(SourceError, match="not a file of kind chats") as caught:
        corpus_job.run(ctx)
    assert type(caught.value) is SourceError
