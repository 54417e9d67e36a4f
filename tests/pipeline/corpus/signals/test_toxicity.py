import csv
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.errors import ConfigError
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.readers.config import Source
from pipeline.corpus.signals import linear, toxicity
from pipeline.corpus.signals.config import LearnerConfig, SignalsConfig, ToxicityConfig
from pipeline.corpus.signals.words import Hashed, hash_of
from pipeline.rows import Row

ETHOS = Path(os.environ.get("FIRSTLIGHT_DATA", Path(__file__).parents[5] / "shared" / "data")) / "eval/ethos_binary.csv"
LISTED = Hashed([hash_of("blorp"), hash_of("zanf")])
TEXT = Source(name="s", kind="text", path="x", rules=("toxicity",))


def config(**fields: object) -> CorpusConfig:
    own = ToxicityConfig.model_validate({"learner": {"buckets": 4096}} | fields)
    return CorpusConfig(sources=(TEXT,), signals=SignalsConfig(toxicity=own))


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("", 0.0),
        ("...", 0.0),
        ("Nothing here. Nor here.", 0.0),
        ("You BLORP! Go away. Now.", 1 / 3),
        ("a blorp\na zanf", 1.0),
        ("blorpish things and reblorp", 0.0),
    ],
)
def test_sentences_with_a_listed_word_are_counted(text: str, share: float) -> None:
    assert LISTED.share(text) == pytest.approx(share)


def test_the_list_that_comes_with_this_is_of_hashes() -> None:
    own = toxicity.own_list()
    assert len(own) > 40
    assert own == sorted(set(own))
    assert all(len(line) == 16 and int(line, 16) >= 0 for line in own)
    listed = Hashed(own)
    assert not any(listed[word] for word in ("the", "people", "muslim", "jew", "gay", "black", "women", "queer"))


def test_nothing_is_dropped_until_a_threshold_is_set() -> None:
    text = "You blorp. Fine day."
    verdict = toxicity.judge(text, ToxicityConfig(), LISTED, None)
    assert verdict.signals == {"toxic_words": 0.5, "toxicity": 0.5}
    assert verdict.broken is None
    assert toxicity.judge(text, ToxicityConfig(max_toxicity=0.5), LISTED, None).broken is None
    assert toxicity.judge(text, ToxicityConfig(max_toxicity=0.4), LISTED, None).broken == ("toxicity > 0.4", 0.5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(["blorp", "BLORP!", "fine", "zanf.", "\n", "Day."]), st.text()), max_size=12))
def test_the_share_is_one_and_only_a_threshold_below_it_drops(words: list[str]) -> None:
    text = " ".join(words)
    verdict = toxicity.judge(text, ToxicityConfig(), LISTED, None)
    score = float(verdict.signals["toxicity"])
    assert 0 <= score == verdict.signals["toxic_words"] <= 1 and verdict.broken is None and verdict.text is None
    assert (score > 0) == bool({"blorp", "zanf"} & set(re.findall(r"\w+", text.lower())))
    for most in (0.0, 0.25, 0.5, 1.0):
        broken = toxicity.judge(text, ToxicityConfig(max_toxicity=most), LISTED, None).broken
        assert broken == ((f"toxicity > {most:g}", score) if score > most else None)


def test_words_and_samples_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("Grumf\n")
    for kind, word in (("bad", "horrid"), ("good", "pleasant")):
        lines = [json.dumps({"text": f"{word} thing number {i}"}) for i in range(20)]
        (tmp_path / f"{kind}.jsonl").write_text("\n".join(lines))
    files = {kind: (str(tmp_path / f"{kind}.jsonl"),) for kind in ("bad", "good")}
    asked = config(words=(str(tmp_path / "words.txt"),), **files)
    assert len(toxicity.outside(asked)) == 3
    learnt = toxicity.learn(asked)
    assert json.loads(learnt["learnt/toxicity.json"])["auc"] == 1.0
    judge = toxicity.make(asked, learnt.__getitem__)

    def signals(text: str) -> dict[str, float]:
        found = judge(Row(id="1", source="s", text=text, meta=""), TEXT).signals
        return {name: float(value) for name, value in found.items()}

    assert signals("you grumf")["toxic_words"] == 1.0
    assert signals("a horrid thing")["toxicity"] > 0.5 > signals("a pleasant thing")["toxicity"]
    assert toxicity.learn(config()) == {}
    with pytest.raises(ConfigError, match="both kinds"):
        toxicity.learn(config(bad=files["bad"]))


@pytest.mark.skipif(not ETHOS.exists(), reason="the ETHOS comments are not there (FIRSTLIGHT_DATA)")
def test_real_comments() -> None:
    with ETHOS.open(newline="") as file:
        rows = [(row["comment"], float(row["isHate"]) >= 0.5) for row in csv.DictReader(file, delimiter=";")]
    model = linear.train(
        [text for text, hate in rows if hate], [text for text, hate in rows if not hate], LearnerConfig(heldout=0.5)
    )
    assert model.facts["auc"] > 0.65
    listed = Hashed(toxicity.own_list())
    found = [hate for text, hate in rows if listed.share(text) > 0]
    assert sum(found) / len(found) > 0.6
    assert 0.2 < sum(found) / sum(hate for _, hate in rows) < 0.5
