"""What can be told before a run begins, rather than hours later: what its stages will miss. Makes nothing."""

import importlib

from pipeline.config import RunConfig, check_dialogues
from pipeline.stages import JOURNEY, through


def check(config: RunConfig, until: str | None = None, made: bool = False) -> None:
    """Raise ConfigError where a stage up to ``until`` would be refused: its dialogues, files and packages.

    It looks at the machine it runs on; what `RunConfig` refuses by itself is wrong on every machine. A run that is
    ``made`` up to pretraining tracks nothing any more.
    """
    names = through(until)
    check_dialogues(config, names)
    later = {stage.outside: stage for stage in JOURNEY[1 : len(names)]}  # the first is asked at once, by itself
    for stage in later.values():
        stage.read_outside(config)
    if "search" in names and not made:
        importlib.import_module("pipeline.pretrain.options.start").check(config)
    if "pretrain" in names and not made:
        for name in config.pretrain.trackers:
            importlib.import_module(f"pipeline.pretrain.trackers.{name}").load()
