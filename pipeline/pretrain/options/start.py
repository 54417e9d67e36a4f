"""First weights from another model: a smaller run's, grown, or a folder of Hugging Face. Knows no task.

What lies outside of the run is part of the stage's fingerprint by its content: see `outside`.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from cluster.errors import ConfigError
from models import checkpoint
from models.config import GPTConfig
from models.parts import part
from pipeline import digest
from pipeline.pretrain.start_config import StartConfig
from pipeline.stage import StageFolder
from pipeline.tokens.pieces import TOKENIZER

if TYPE_CHECKING:
    from pipeline.config import RunConfig

FIELD = "pretrain.start.source"


def first_weights(start: StartConfig, shape: GPTConfig, seed: int, tokens: StageFolder) -> dict[str, Tensor] | None:
    """The state that a run of this shape begins with; None where it is drawn. `tokens` is the run's own stage.

    Raises ConfigError where the other model does not become this one, or reads another vocabulary.
    """
    if start.kind == "none":
        return None
    try:
        if start.kind == "imported":
            names = [path.name for path in Path(start.source).iterdir()]
            found, state = part("layouts", "folder").read_folder(
                lambda name: Path(start.source, name).read_bytes(), names
            )
            length = min(shape.context, found.context)
            found, state = part("layouts", "fit").fit(found, state, shape.vocab_size, length)
        else:
            _same_tokenizer(start, tokens)
            state, facts = checkpoint.load(StageFolder.open(start.source, "pretrain").read_bytes, "model")
            found = GPTConfig.model_validate(facts["config"])
        grown: dict[str, Tensor] = part("inits", "growth").grow(state, found, shape, seed, start.depth)
        return grown
    except checkpoint.CorruptChunk:
        raise
    except ValueError as error:
        raise _refused(start, error) from error


def outside(config: "RunConfig") -> str:
    """A digest of the model that the run begins with; "" where its weights are drawn. Raises ConfigError."""
    start = config.pretrain.start
    if start.kind == "none":
        return ""
    if start.kind == "grown":
        manifest = StageFolder.open(start.source, "pretrain").manifest()
        if manifest is None:
            remedy = "Give a run whose stage pretrain is done"
            raise ConfigError(FIELD, start.source, "there is no pretrained model of a run", remedy)
        return str(manifest["digest"])
    if not config.tokens.file:
        rule = "an imported model needs its own vocabulary, and the run would train another"
        raise ConfigError("tokens.file", "", rule, f"Name that of the model, {start.source}/{TOKENIZER} for one")
    files = sorted([Path(start.source, "config.json"), *Path(start.source).glob("*.safetensors*")])
    try:
        return digest.of_json({path.name: _sha256(path) for path in files})
    except OSError as error:
        remedy = "Give a folder with config.json and *.safetensors"
        raise ConfigError(FIELD, start.source, f"cannot be read ({error.strerror})", remedy) from error


def check(config: "RunConfig") -> None:
    """Raise ConfigError where the small run's model cannot become this one: it is known before anything is made."""
    start = config.pretrain.start
    if start.kind == "grown":
        manifest = json.loads(StageFolder.open(start.source, "pretrain").read_bytes("model/manifest.json"))
        found = GPTConfig.model_validate(manifest["facts"]["config"])
        try:
            part("inits", "growth").grow({}, found, config.model, config.seed, start.depth)
        except ValueError as error:
            raise _refused(start, error) from error


def _refused(start: StartConfig, error: ValueError) -> ConfigError:
    remedy = "Change [model] so that the other model can become it, or begin with another one"
    return ConfigError(FIELD, start.source, str(error), remedy)


def _same_tokenizer(start: StartConfig, tokens: StageFolder) -> None:
    theirs, ours = StageFolder.open(start.source, "tokens").record(TOKENIZER), tokens.record(TOKENIZER)
    if theirs and ours and theirs["sha256"] != ours["sha256"]:
        remedy = f"Set tokens.file = {f'{start.source}/tokens/{TOKENIZER}'!r}"
        raise ConfigError(FIELD, start.source, "its model reads another vocabulary than this run's", remedy)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
