from pathlib import Path

from pipeline.corpus import families
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.readers.config import Source
from pipeline.rows import Row, facts_of

SIGNALS = ("language", "spelling", "toxicity", "bias")


def test_the_signals_are_found_by_name_and_stay_with_the_document() -> None:
    source = Source(name="s", kind="text", path="x", rules=SIGNALS)
    config = CorpusConfig(sources=(source,))
    assert set(SIGNALS) | {"quality"} <= set(families.known())
    assert families.learn(config) == {}
    assert families.outside(config) == []
    judges = families.load(config, source, lambda name: Path("gone", name).read_bytes())
    text = "She walked through the quiet village and bought some bread, some butter, and a little cheese "
    text += "for her mother and her sister."
    row, verdict = families.judge(Row(id="1", source="s", text=text, meta=""), source, judges)
    assert row is not None
    assert row["text"] == text
    assert verdict.broken is None
    signals = facts_of(row["meta"])["signals"]
    assert signals["language"] == "en"
    assert signals["misspelt"] == signals["toxicity"] == 0
    assert signals["female_share"] == 1
