"""Settings of the export stage. Knows neither models nor Ray."""

from typing import Literal

from cluster.fields import Config, result


class ExportConfig(Config):
    """Which model is given away, and under which name."""

    stage: Literal["newest", "rlhf", "finetune", "pretrain"] = result(
        "newest", "Stage whose model is exported; newest takes rlhf, else finetune, else pretrain", unit="none"
    )
    title: str = result("Firstlight model", "Title of the model card", unit="none", min_length=1, max_length=200)
    license: str = result(
        "other",
        "Licence of the weights, an identifier of the model card's metadata",
        unit="none",
        pattern=r"^[\w.+-]+$",
    )
