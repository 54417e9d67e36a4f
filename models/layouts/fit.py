"""A pretrained model for another vocabulary or a shorter context. Knows no layout."""

import torch
from torch import Tensor

from models.config import GPTConfig
from models.layouts.pieces import refused

State = dict[str, Tensor]


def fit(config: GPTConfig, state: State, vocab_size: int, context: int) -> tuple[GPTConfig, State]:
    """(shape, state) with at least its own rows of the vocabulary and at most its own context.

    New tokens begin as the mean of the old ones (Hewitt 2021, "Initializing new word embeddings for pretrained
    language models"): the old tokens' logits stay as they are, and a new one has their mean. Of learned positions the
    first are kept. Raises ValueError for fewer tokens or more positions than the model has.
    """
    if vocab_size < config.vocab_size:
        rule = f"the pretrained model has {config.vocab_size} tokens, and none can be taken away"
        raise refused("model.vocab_size", vocab_size, rule, f"Set {config.vocab_size} or more")
    if context > config.context:
        rule = f"the pretrained model sees {config.context} tokens"
        raise refused("model.context", context, rule, f"Set {config.context} or less")
    fitted = dict(state)
    for name in ("embedding.weight", "head.weight"):
        if name in state and vocab_size > config.vocab_size:
            old = state[name]
            new = old.mean(0, keepdim=True).expand(vocab_size - config.vocab_size, -1)
            fitted[name] = torch.cat([old, new])
    if "positions.weight" in state:
        fitted["positions.weight"] = state["positions.weight"][:context].clone()
    return config.model_copy(update={"vocab_size": vocab_size, "context": context}), fitted
