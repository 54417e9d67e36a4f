import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.errors import ConfigError, SourceError
from pipeline.corpus.signals import samples
from pipeline.corpus.signals.config import LearnerConfig

CONFIG = LearnerConfig(buckets=256)


def jsonl(path: Path, texts: list[str]) -> str:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return str(path)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_what_is_drawn_is_a_function_of_the_set(data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.text("abc ", min_size=1, max_size=400), min_size=1, max_size=30))
    config = CONFIG.model_copy(update={"sample_bytes": data.draw(st.integers(100, 3_000))})
    drawn = samples.draw(texts, config)
    assert samples.draw(data.draw(st.permutations(texts)), config) == drawn
    assert samples.draw(texts + texts, config) == drawn
    assert sum(map(len, drawn)) <= config.sample_bytes
    ordered = sorted({t for t in texts if t.strip()}, key=samples.key_of)
    assert drawn == ordered[: len(drawn)]
    assert len(drawn) == len(ordered) or sum(map(len, ordered[: len(drawn) + 1])) > config.sample_bytes


def test_files_are_lines_of_json_or_one_sample(tmp_path: Path) -> None:
    good = [f"good text {i} of the river" for i in range(12)]
    paths = [jsonl(tmp_path / "a.jsonl", good[:6])]
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as file:
        file.write("\n\n".join(json.dumps({"text": text, "x": 1}) for text in good[6:]))
    for i in range(10):
        (tmp_path / f"{i}.txt").write_text(f"bad text {i}\n\nof the casino\n")
    bad = (str(tmp_path / "*.txt"), str(tmp_path / "0.txt"))
    model = samples.learn("f", (*paths, str(tmp_path / "b.jsonl.gz")), bad, CONFIG)
    assert model.facts["learnt_from"] == {"positive": 10, "negative": 8}
    assert len(samples.files("f", bad)) == 10


def test_mistakes_are_named(tmp_path: Path) -> None:
    few = jsonl(tmp_path / "few.jsonl", ["a", "b", "b"])
    with pytest.raises(ConfigError, match="2 different samples"):
        samples.learn("f", (few,), (few,), CONFIG)
    with pytest.raises(SourceError, match="names no file"):
        samples.files("f", (str(tmp_path / "*.gone"),))
    for number, line in enumerate(('{"body": "x"}', "[1]", "{", '{"text": 3}')):
        path = tmp_path / f"bad{number}.jsonl"
        path.write_text('{"text": "fine"}\n' + line)
        with pytest.raises(SourceError, match="line 2"):
            samples.learn("f", (str(path),), (few,), CONFIG)
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(SourceError, match="cannot be read"):
        samples.learn("f", (str(tmp_path / "latin.txt"),), (few,), CONFIG)
    (tmp_path / "torn.jsonl.gz").write_bytes(gzip.compress(b'{"text": "fine"}\n' * 50)[:-9])
    with pytest.raises(SourceError, match="cannot be read"):
        samples.learn("f", (str(tmp_path / "torn.jsonl.gz"),), (few,), CONFIG)


def test_a_list_of_words(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Foo\n\nbar \nfoo\n")
    assert samples.word_list("f", (str(tmp_path / "a.txt"),)) == ["bar", "foo"]
    (tmp_path / "a.txt").write_text("foo\ntwo words\n")
    with pytest.raises(SourceError, match="line 2"):
        samples.word_list("f", (str(tmp_path / "a.txt"),))
