"""Our own layout: every shape, the weights and running statistics by our names. For shapes that no family has."""

from typing import Any

from models.config import GPTConfig
from models.layouts.pieces import Piece, refused
from models.layouts.shapes import shapes_of

PREFIX = ""
EMBEDDING = "embedding.weight"
IGNORED: tuple[str, ...] = ()

USE = """```python
from pathlib import Path

from models.gpt import GPT
from models.layouts.folder import read_folder

folder = Path(FOLDER)
shape, state = read_folder(lambda name: (folder / name).read_bytes(), [path.name for path in folder.iterdir()])
model = GPT(shape)
model.load_state_dict(state)
model.eval()
```"""


def config_json(config: GPTConfig) -> dict[str, Any]:
    """config.json of a shape, without ids of tokens; the shape is whole in it."""
    return {
        "architectures": ["GPT"],
        "model_type": "firstlight",
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context,
        "tie_word_embeddings": config.tie_embeddings,
        "shape": config.model_dump(),
    }


def shape_of(found: dict[str, Any]) -> GPTConfig:
    """The shape that a config.json holds. Raises ValueError."""
    if not isinstance(found.get("shape"), dict):
        raise refused("shape", found.get("shape"), "config.json must hold it", "Take a whole copy of the folder")
    return GPTConfig(**found["shape"])


def pieces(config: GPTConfig, found: dict[str, Any]) -> list[Piece]:
    """Each weight is where it is."""
    return [Piece(name, (name,)) for name in shapes_of(config)]
