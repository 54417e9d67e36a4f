"""The trained model of a run, read from its stage folder, and whether a tokenizer fits it. Knows no Ray."""

from cluster.errors import UserError
from models.checkpoint import load
from models.config import GPTConfig
from models.gpt import GPT
from models.tokenizer import Tokenizer
from pipeline.stage import StageFolder


def load_gpt(folder: StageFolder) -> GPT:
    """The language model that a stage wrote, ready to score. Raises FileNotFoundError where it wrote none."""
    tensors, facts = load(folder.read_bytes, "model")
    assert facts["kind"] == "gpt", f"{folder.stage} wrote a {facts['kind']} model"
    model = GPT(GPTConfig(**facts["config"]))
    model.load_state_dict(tensors)
    return model.eval()


def load_shape(folder: StageFolder) -> GPTConfig:
    """The shape of the model that a stage wrote, without its weights. Raises FileNotFoundError where it wrote none."""
    return GPTConfig(**folder.read_json("model/manifest.json")["facts"]["config"])


def check_match(model: GPT, tokenizer: Tokenizer, stage: str) -> None:
    """`check_shape` of a model."""
    check_shape(model.config, tokenizer, stage)


def check_shape(shape: GPTConfig, tokenizer: Tokenizer, stage: str) -> None:
    """A model has a row for every token id (more rows, where a small corpus gave fewer ids). Raises UserError."""
    if tokenizer.vocab_size > shape.vocab_size:
        raise UserError(
            "tokens/tokenizer.json",
            tokenizer.vocab_size,
            f"the model of {stage} knows {shape.vocab_size} token ids",
            "The tokenizer was changed under the model: run the stages after tokens again",
        )
