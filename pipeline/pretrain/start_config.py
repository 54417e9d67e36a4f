"""Where first weights come from: drawn, grown from a smaller run, or imported. Schemas only."""

import os
from typing import Literal, Self

from pydantic import field_validator, model_validator

from cluster.errors import ConfigError
from cluster.fields import Config, execution, result


class StartConfig(Config):
    """First weights. Nothing but the weights is taken over: the optimiser's moments begin at zero."""

    kind: Literal["none", "grown", "imported"] = result(
        "none", "Drawn by model.init, grown from the model of a smaller run, or read from a folder of Hugging Face",
        unit="none",
    )  # fmt: skip
    source: str = execution("", "Run folder (grown) or model folder (imported); its content counts", unit="path")
    depth: Literal["identity", "stack", "interleave"] = result(
        "identity", "How it gets deeper: silent copies keep the loss; stacked or interleaved copies do not", unit="none"
    )

    @field_validator("source")
    @classmethod
    def _whole(cls, source: str) -> str:
        """Absolute, as replicas work elsewhere."""
        return source if not source or "://" in source else os.path.abspath(os.path.expanduser(source))

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.kind == "none") != (not self.source):
            rule = f"pretrain.start.kind is {self.kind}"
            remedy = "Set kind to grown or imported" if self.source else "Name the folder that the weights come from"
            raise ConfigError("pretrain.start.source", self.source, rule, remedy)
        return self
