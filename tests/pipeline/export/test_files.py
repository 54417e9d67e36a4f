"""The exported folder loads with transformers, and its card tells the run's facts."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from cluster.errors import UserError
from models.generate import generate
from models.gpt import GPT, init_weights
from models.tokenizer import Tokenizer
from pipeline.evaluate.chunks import Sources, load_material
from pipeline.evaluate.config import EvaluateConfig
from pipeline.evaluate.weights import load_gpt
from pipeline.export.config import ExportConfig
from pipeline.export.files import choose, make_files
from pipeline.export.view import section
from pipeline.stage import StageFolder
from pipeline.tokens.pieces import load_tokenizer
from tests.models.fakes import tiny_config
from tests.pipeline.evaluate.tiny import write_run, write_stage

SIDE = {"reward": 0.25, "rule": 0.25, "model_score": -1.0, "length": 20.0, "ended": 0.5, "kl": 0.0}
HELDOUT = {
    "headline": "rule",
    "prompts": 64,
    "kl_bound": 10.0,
    "confidence": 0.95,
    "before": SIDE,
    "after": {**SIDE, "reward": 0.875, "kl": 4.5},
    "gain": {"mean": 0.625, "interval": [0.5, 0.75]},
}
FUNNEL = {
    "plays": {
        "read": {"documents": 9, "bytes": 900, "dropped": {"too long": 1}},
        "split": {"documents": 6, "bytes": 600, "dropped": {"held out": 3}},
        "decontaminate": {"documents": 4, "bytes": 400, "dropped": {"shares text": 2}},
    }
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, StageFolder]:
    run = str(tmp_path_factory.mktemp("run"))
    folders = write_run(run, ("pretrain", "finetune", "rlhf"))
    made = load_material(Sources(folders["corpus"], folders["tokens"], EvaluateConfig(), context=64, seed=1))
    model = load_gpt(folders["rlhf"])
    results = {"stage": "rlhf", **made.results({c: made.rows(model, c) for c in made.chunks()})}
    folders["evaluate@rlhf"] = write_stage(run, "evaluate@rlhf", {"results.json": json.dumps(results).encode()})
    folders["corpus"] = write_stage(run, "corpus", {"funnel.json": json.dumps(FUNNEL).encode()})
    folders["rlhf"] = write_stage(run, "rlhf", {"heldout.json": json.dumps(HELDOUT).encode()})
    return folders


def test_transformers_loads_the_folder_with_the_same_logits_and_text(
    inputs: dict[str, StageFolder], tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    files, facts = make_files(ExportConfig(), inputs)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    ours, tokenizer = load_gpt(inputs["rlhf"]), load_tokenizer(inputs["tokens"])
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    reader = transformers.AutoTokenizer.from_pretrained(tmp_path)
    parameters = sum(p.numel() for p in ours.parameters())
    assert facts == {"stage": "rlhf", "parameters": parameters, "layout": "llama"}

    text = "the cat sat on the mat and the dog"
    ids = tokenizer.encode(text)
    assert reader(text)["input_ids"] == ids
    tokens = torch.randint(4, tokenizer.vocab_size, (3, 40), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert (theirs(tokens).logits - ours(tokens)).abs().max() <= 1e-4
    assert greedy_text(theirs, reader, ids) == our_greedy_text(ours, tokenizer, ids)


def greedy_text(model: Any, reader: Any, ids: list[int]) -> str:
    tokens = model.generate(torch.tensor([ids]), max_new_tokens=20, do_sample=False)[0, len(ids) :]
    return str(reader.decode(tokens, skip_special_tokens=True))


def our_greedy_text(model: GPT, tokenizer: Tokenizer, ids: list[int]) -> str:
    end, pad = tokenizer.end_id, tokenizer.pad_id
    (sample,) = generate(model, [ids], max_new=20, temperature=0.0, stop_id=end, pad_id=pad, keys=[(0,)])
    return tokenizer.decode(sample.tokens)


def test_files_are_the_same_each_time(inputs: dict[str, StageFolder]) -> None:
    first, _ = make_files(ExportConfig(), inputs)
    again, _ = make_files(ExportConfig(), dict(reversed(inputs.items())))
    assert first == again
    assert set(first) == {
        "README.md",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_the_card_tells_the_stage_the_data_and_the_numbers(inputs: dict[str, StageFolder]) -> None:
    files, facts = make_files(ExportConfig(title="A | B", license="mit"), inputs)
    card = files["README.md"].decode()
    assert card.startswith("---\nlicense: mit\n") and "# A | B" in card
    assert "Weights of the stage `rlhf`" in card and f"{facts['parameters']:,} parameters" in card
    # 10 documents read: 3 dropped for a reason, 3 held out, 4 kept
    assert "| plays | 10 | 3 | 3 | 4 | 400 | – |" in card
    assert "bits per byte" in card and "| rlhf |" in card
    assert "The gain in reward is 0.625, 95% interval 0.500 to 0.750" in card
    assert "## Licence" in card and "## Limits" in card and inputs["tokens"].run not in card


def test_a_shape_of_no_family_is_written_in_our_own_layout_with_the_reason(
    inputs: dict[str, StageFolder], tmp_path: Path
) -> None:
    model = GPT(tiny_config(positions="alibi", experts={"count": 4}))
    init_weights(model, 0)
    folder = write_stage(str(tmp_path), "pretrain", model=model)
    files, facts = make_files(ExportConfig(stage="pretrain"), {"tokens": inputs["tokens"], "pretrain": folder})
    why = "mixtral: positions is alibi, and it has rotary"
    assert (facts["layout"], facts["not_of_transformers"]) == ("firstlight", [why])
    card = files["README.md"].decode()
    assert "library_name: firstlight" in card and f"transformers, which has no such model ({why})" in card
    assert f"of which a token meets {model.config.active_parameters():,}" in card
    assert "| positions | alibi |" in card and "| experts.count | 4 |" in card

    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    said: dict[str, Any] = {"FOLDER": str(tmp_path)}
    exec(card.partition("```python\n")[2].partition("```")[0], said)  # what the card says, as a reader would run it
    tokens = torch.arange(4, 24)[None]
    assert torch.equal(said["model"](tokens), model.eval()(tokens))

    whole = write_stage(str(tmp_path), "export", files)
    manifest = json.dumps({"fingerprint": "f", "content": {"counts": facts}})
    whole.storage.put(whole.key("manifest.json"), manifest.encode())
    found = section(whole, {})
    assert found is not None and why in str(found.blocks[-1])


def test_an_earlier_stage_can_be_taken_and_says_nothing_of_a_reward(inputs: dict[str, StageFolder]) -> None:
    files, facts = make_files(ExportConfig(stage="pretrain"), inputs)
    assert facts["stage"] == "pretrain"
    assert "## Reward" not in files["README.md"].decode()
    rest = {name: folder for name, folder in inputs.items() if name != "rlhf"}
    assert choose(ExportConfig(), rest) == "finetune"
    with pytest.raises(UserError, match="the run has the models of: finetune, pretrain"):
        choose(ExportConfig(stage="rlhf"), rest)
    with pytest.raises(UserError, match="no stage"):
        choose(ExportConfig(), {})


def test_the_view_of_nothing_of_half_and_of_all(inputs: dict[str, StageFolder], tmp_path: Path) -> None:
    run = str(tmp_path)
    assert section(StageFolder.open(run, "export"), {}) is None
    files, facts = make_files(ExportConfig(), inputs)
    half = section(write_stage(run, "export", {"config.json": files["config.json"]}, ended=False), {})
    assert half is not None and "Half done" in half.lead
    whole = write_stage(run, "export", files)
    manifest = json.dumps({"fingerprint": "f", "content": {"counts": facts}})
    whole.storage.put(whole.key("manifest.json"), manifest.encode())
    found = section(whole, {})
    assert found is not None and "stage rlhf" in found.lead and found.headline[0][0] == "model.safetensors"
