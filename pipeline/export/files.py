"""All files of the export, from the folders of the stages before it. Knows no Ray and writes nothing."""

import importlib
from typing import Any

from cluster.errors import UserError
from models.parts import part
from pipeline.evaluate.weights import check_match, load_gpt
from pipeline.export.config import ExportConfig
from pipeline.stage import StageFolder
from pipeline.tokens.pieces import load_tokenizer

NEWEST_FIRST = ("rlhf", "finetune", "pretrain")


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
    """File name -> bytes of the folder, and what to count: a shape that no layout of Hugging Face has is written in our
    own, and the counts and the card say why. Raises UserError."""
    stage = choose(config, inputs)
    model, tokenizer = load_gpt(inputs[stage]), load_tokenizer(inputs["tokens"])
    check_match(model, tokenizer, stage)
    layouts = part("layouts", "folder")
    layout, reasons = layouts.layout_of(model.config)
    card = importlib.import_module("pipeline.export.targets.card").Card(
        title=config.title,
        license=config.license,
        stage=stage,
        shape=model.config,
        architecture=layouts.FAMILIES.get(layout, ""),
        reasons=reasons,
        use=part("layouts", layout).USE if reasons else layouts.USE,
        funnel=_json(inputs.get("corpus"), "funnel.json"),
        tokens=_json(inputs.get("tokens"), "index.json"),
        evaluations={
            name.partition("@")[2]: found
            for name, folder in inputs.items()
            if name.startswith("evaluate@") and (found := _json(folder, "results.json"))
        },
        rlhf=_json(inputs["rlhf"], "heldout.json") if stage == "rlhf" else {},
    )
    files = {**layouts.export_files(model, tokenizer), "README.md": card.text().encode()}
    facts = {"stage": stage, "parameters": model.config.parameters(), "layout": layout}
    return files, facts | ({"not_of_transformers": reasons} if reasons else {})


def _json(folder: StageFolder | None, piece: str) -> dict[str, Any]:
    """A stage's facts; none where it did not write them."""
    if folder is None or not folder.done(piece):
        return {}
    found: dict[str, Any] = folder.read_json(piece)
    return found
