"""All files of the export, from the folders of the stages before it. Knows no Ray and writes nothing."""

import importlib
from typing import Any

from cluster.errors import UserError
from pipeline.evaluate.weights import check_match, load_gpt
from pipeline.export.card import Card
from pipeline.export.config import ExportConfig
from pipeline.stage import StageFolder
from pipeline.tokens.pieces import load_tokenizer

NEWEST_FIRST = ("rlhf", "finetune", "pretrain")
LAYOUT = "llama"  # the module of models/layouts that writes our architecture


def choose(config: ExportConfig, inputs: dict[str, StageFolder]) -> str:
    """The stage whose model is taken. Raises UserError where the run has no such model."""
    having = [stage for stage in NEWEST_FIRST if stage in inputs and inputs[stage].done("model/manifest.json")]
    if config.stage == "newest" and having:
        return having[0]
    if config.stage in having:
        return config.stage
    raise UserError(
        "export.stage",
        config.stage,
        f"the run has the models of: {', '.join(having) or 'no stage'}",
        "Choose one of these, or let the run go on to that stage",
    )


def make_files(config: ExportConfig, inputs: dict[str, StageFolder]) -> tuple[dict[str, bytes], dict[str, Any]]:
    """File name -> bytes of a folder in the Hugging Face layout, and what to count. Raises UserError."""
    stage = choose(config, inputs)
    model, tokenizer = load_gpt(inputs[stage]), load_tokenizer(inputs["tokens"])
    check_match(model, tokenizer, stage)
    card = Card(
        title=config.title,
        license=config.license,
        stage=stage,
        shape=model.config,
        funnel=_json(inputs.get("corpus"), "funnel.json"),
        tokens=_json(inputs.get("tokens"), "index.json"),
        evaluations={
            name.partition("@")[2]: found
            for name, folder in inputs.items()
            if name.startswith("evaluate@") and (found := _json(folder, "results.json"))
        },
        rlhf=_json(inputs["rlhf"], "heldout.json") if stage == "rlhf" else {},
    )
    layout = importlib.import_module(f"models.layouts.{LAYOUT}")
    files = {**layout.export_files(model, tokenizer), "README.md": card.text().encode()}
    return files, {"stage": stage, "parameters": model.config.parameters()}


def _json(folder: StageFolder | None, piece: str) -> dict[str, Any]:
    """A stage's facts; none where it did not write them."""
    if folder is None or not folder.done(piece):
        return {}
    found: dict[str, Any] = folder.read_json(piece)
    return found
