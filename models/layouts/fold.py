"""A model without the multipliers of its init (muP's, CompleteP's): the same function, for layouts that have none."""

import torch
from torch import Tensor

from models.config import GPTConfig
from models.init import scale

BRANCHES = ("attention.out.weight", "attention.out.bias", "mlp.down.weight", "mlp.down.bias")


def folded(config: GPTConfig, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state whose weights hold what the model multiplies with: queries the attention's factor, the last layer of a
    branch the branch's, the embedding its own, and the last norm that of the logits. The norms that read them keep the
    rest as it is. The default init has no multiplier: its bits stay.
    """
    embedding, attention, branch, logits = (
        scale(config, kind) for kind in ("embedding_scale", "attention_scale", "branch_scale", "logit_scale")
    )
    if config.tie_embeddings:  # the head is the embedding, which is about to grow
        logits /= embedding
    made = dict(state)
    for name, tensor in state.items():
        if name == "embedding.weight":
            made[name] = tensor * embedding
        elif name in ("norm.weight", "norm.bias"):
            made[name] = tensor * logits
        elif name.endswith(BRANCHES):
            made[name] = tensor * branch
        elif ".attention.qkv." in name and not config.qk_norm:
            made[name] = torch.cat([tensor[: config.width] * attention, tensor[config.width :]])
        elif name.endswith("query_norm.weight"):
            made[name] = tensor * attention
    return made
