"""The adapter to lm-evaluation-harness: equal to our own scorer. One test runs the real harness, on a local task."""

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from cluster.errors import UserError
from models.tokenizer import Tokenizer
from pipeline.evaluate import score
from pipeline.evaluate.adapters.harness import Adapter, cut_at, score_task
from tests.pipeline.evaluate.tiny import CHOICES, random_gpt, trained


@dataclass
class Asked:
    args: tuple[Any, ...]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return trained()


@pytest.fixture(scope="module")
def adapter(tokenizer: Tokenizer) -> Adapter:
    return Adapter(random_gpt(context=32, vocab_size=tokenizer.vocab_size), tokenizer)


def test_answers_come_in_order_and_do_not_depend_on_company(adapter: Adapter) -> None:
    asked = [Asked(("the cat " * n, word)) for n in (0, 9, 1, 40) for word in (" sat on", " dog")]
    together = adapter.loglikelihood(asked)
    assert together == [adapter.loglikelihood([a])[0] for a in asked]
    assert len(set(together)) == len(asked)


def test_an_empty_context_is_a_document_start(adapter: Adapter, tokenizer: Tokenizer) -> None:
    ((logprob, _),) = adapter.loglikelihood([Asked(("", "the cat"))])
    (rolling,) = adapter.loglikelihood_rolling([Asked(("the cat",))])
    with torch.inference_mode():
        ids = [tokenizer.end_id, *tokenizer.encode("the cat")]
        logprobs = torch.log_softmax(adapter.model(torch.tensor([ids]))[0], -1)
    naive = sum(float(logprobs[i, token]) for i, token in enumerate(ids[1:]))
    assert logprob == pytest.approx(naive, abs=1e-4) and rolling == pytest.approx(naive, abs=1e-4)


def test_a_long_context_loses_its_left_side(adapter: Adapter, tokenizer: Tokenizer) -> None:
    context = "the dog saw the cat " * 20
    wanted = tokenizer.encode(" mat and")
    kept = tokenizer.encode(context)[-(32 - len(wanted) + 1) :]
    (expected,) = score.continuations(adapter.model, kept, [wanted])
    assert adapter.loglikelihood([Asked((context, " mat and"))]) == [(expected.logprob, expected.greedy)]
    with pytest.raises(UserError, match="longer than the window"):
        adapter.loglikelihood([Asked(("x", "the cat " * 40))])


def test_greedy_text_is_greedy_under_loglikelihood(adapter: Adapter, tokenizer: Tokenizer) -> None:
    options = {"until": [], "max_gen_toks": 3}
    for context in ("the cat", "the dog saw", "a mat"):
        (text,) = adapter.generate_until([Asked((context, options))])
        if text and len(tokenizer.encode(text)) == 3 and "\ufffd" not in text:
            assert adapter.loglikelihood([Asked((context, text))])[0][1]


def test_a_text_ends_before_the_first_stop() -> None:
    assert cut_at("one\ntwo. three", [".", "\n"]) == "one"
    assert cut_at("one", ["\n", ""]) == "one"


TASK = """
task: tiny_choice
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{context}}"
doc_to_choice: "{{choices}}"
doc_to_target: answer
target_delimiter: ""
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
"""


@pytest.mark.skipif(find_spec("lm_eval") is None, reason="the extra `eval` is not installed")
def test_the_harness_gives_the_scores_of_our_own_scorer(
    adapter: Adapter, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    rows = [{"context": f"the cat {'and the dog ' * (i % 9)}", "choices": CHOICES, "answer": i % 4} for i in range(12)]
    rows = [{**row, "context": str(row["context"]).rstrip()} for row in rows]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "task.yaml").write_text(TASK.replace("DATA", str(tmp_path / "data.jsonl")))
    found = score_task(adapter.model, tokenizer, tmp_path / "task.yaml", limit=10)

    hits = 0
    samples = sorted(found["samples"]["tiny_choice"], key=lambda s: s["doc_id"])
    assert len(samples) == 10
    for row, sample in zip(rows, samples, strict=False):
        wanted = [tokenizer.encode(c) for c in CHOICES]
        context = [tokenizer.end_id, *tokenizer.encode(str(row["context"]))][-32:]
        ours = score.continuations(adapter.model, context, wanted)
        theirs = [response[0] for response in sample["filtered_resps"]]
        assert theirs == pytest.approx([s.logprob for s in ours], abs=1e-4)
        hits += max(range(4), key=lambda i: ours[i].logprob) == row["answer"]
    assert found["results"]["tiny_choice"]["acc,none"] == pytest.approx(hits / 10)
