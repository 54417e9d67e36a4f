import json
from pathlib import Path

import pytest

from cluster.errors import ConfigError
from pipeline import rows
from pipeline.corpus import families
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.readers.config import Source
from pipeline.corpus.signals import quality
from pipeline.corpus.signals.config import QualityConfig, SignalsConfig

TEXT = Source(name="s", kind="text", path="x", rules=("quality",))


def config(folder: Path, **fields: object) -> CorpusConfig:
    for kind, word in (("good", "careful"), ("bad", "jackpot")):
        lines = [json.dumps({"text": f"{word} words number {i}"}) for i in range(20)]
        (folder / f"{kind}.jsonl").write_text("\n".join(lines))
    named = {kind: (str(folder / f"{kind}.jsonl"),) for kind in ("good", "bad")}
    own = QualityConfig.model_validate({"learner": {"buckets": 4096}} | named | fields)
    return CorpusConfig(sources=(TEXT,), signals=SignalsConfig(quality=own))


def test_a_score_that_stays_with_the_document(tmp_path: Path) -> None:
    asked = config(tmp_path)
    assert families.outside(asked) == [str(tmp_path / "bad.jsonl"), str(tmp_path / "good.jsonl")]
    learnt = families.learn(asked)
    assert sorted(learnt) == ["learnt/quality.bin", "learnt/quality.json"]
    assert json.loads(learnt["learnt/quality.json"])["held_out"] == {"positive": 4, "negative": 4}
    judges = families.load(asked, TEXT, learnt.__getitem__)
    scores = []
    for text in ("careful words here", "jackpot words here"):
        row, _ = families.judge(rows.Row(id="1", source="s", text=text, meta=""), TEXT, judges)
        assert row is not None
        scores.append(rows.quality_of(row["meta"]))
    assert scores[0] > 0.5 > scores[1] > 0


def test_a_threshold_drops(tmp_path: Path) -> None:
    asked = config(tmp_path, min_quality=0.5)
    judge = quality.make(asked, quality.learn(asked).__getitem__)
    broken = judge(rows.Row(id="1", source="s", text="jackpot words", meta=""), TEXT).broken
    assert broken is not None
    assert broken[0] == "quality < 0.5"
    assert broken[1] < 0.5


@pytest.mark.parametrize("kind", ["good", "bad"])
def test_samples_of_both_kinds_are_needed(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ConfigError, match=f"corpus.signals.quality.{kind}"):
        quality.learn(config(tmp_path, **{kind: ()}))
