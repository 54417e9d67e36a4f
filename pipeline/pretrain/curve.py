"""The held-out curve in bits a byte, and the counts of a finished training run. Knows no Ray."""

import math
from typing import Any

from pipeline.config import RunConfig
from pipeline.pretrain.language import heldout_windows
from pipeline.stage import StageFolder
from pipeline.tokens.pieces import load_tokenizer


def write_curve(folder: StageFolder, tokens: StageFolder, config: RunConfig) -> dict[str, Any]:
    """Leave ``metrics/curve.json``; return steps, tokens and skipped steps for the manifest."""
    lines = folder.read_jsonl("metrics/steps.jsonl")
    skipped: dict[str, int] = {}
    for line in lines:
        if "skipped" in line:
            skipped[line["skipped"]] = skipped.get(line["skipped"], 0) + 1
    points = []
    if any("probe" in line for line in lines):
        windows = heldout_windows(tokens, config.model.context, config.pretrain.curve_windows, config.seed)
        tokenizer = load_tokenizer(tokens)
        size = sum(len(tokenizer.decode(w[1:].tolist()).encode()) for w in windows)
        scale = windows[:, 1:].numel() / size / math.log(2)
        points = [
            {"step": p["step"], "tokens": p["tokens"], "loss": p["probe"], "bits_per_byte": p["probe"] * scale}
            for p in lines
            if "probe" in p
        ]
    folder.write_json("metrics/curve.json", points)
    last = lines[-1]
    return {"steps": len(lines), "tokens": last["tokens"], "final_loss": last["loss"], "skipped": skipped}
