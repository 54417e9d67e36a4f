"""The model: embedding, blocks, last norm, output head. Knows no loss, no optimiser, no first weights.

Every choice of its shape is in models/config.py, with its source in docs/model.md. The default is Llama's architecture.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from models.attention import Attention, Cache, Sight, attention_mask
from models.config import GPTConfig
from models.init import init_weights, named_generator, scale
from models.layers import MLP, Positions, make_norm
from models.parts import part

__all__ = ["GPT", "Block", "init_weights", "named_generator"]


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)); with placement post norm(x + attention(x)), norm(x + mlp(x))."""

    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = make_norm(config, config.width)
        self.attention = Attention(config, layer)
        self.mlp_norm = make_norm(config, config.width)
        self.mlp = part("mlps", "experts").Experts(config) if config.sparse(layer) else MLP(config)
        self.dropout = nn.Dropout(config.dropout)
        self.post, self.scale = config.placement == "post", scale(config, "branch_scale")

    def forward(self, x_BTD: Tensor, sight: Sight) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        if self.post:
            x_BTD = self.attention_norm(x_BTD + self._branch(self.attention(x_BTD, sight)))
            x_BTD = self.mlp_norm(x_BTD + self._branch(self.mlp(x_BTD)))
        else:
            x_BTD = x_BTD + self._branch(self.attention(self.attention_norm(x_BTD), sight))
            x_BTD = x_BTD + self._branch(self.mlp(self.mlp_norm(x_BTD)))
        return x_BTD

    def _branch(self, out_BTD: Tensor) -> Tensor:
        kept: Tensor = self.dropout(out_BTD)
        return kept if self.scale == 1.0 else kept * self.scale


class GPT(nn.Module):
    """A decoder-only transformer. Built with torch's default weights: call `init_weights`, or load a state.

    `recompute`: in training keep a block's input only and compute its inside again for the gradient (Chen and others
    2016, arXiv 1604.06174), with the same dropout: less memory, a third more FLOPs, the same bits.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config, self.recompute = config, False
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.positions: Positions = part("positions", config.positions).make(config)
        self.embedding_scale = scale(config, "embedding_scale")
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        # after the last block a post-norm stream is normed already
        self.norm = nn.Identity() if config.placement == "post" else make_norm(config, config.width)
        self.head = None if config.tie_embeddings else nn.Linear(config.width, config.vocab_size, bias=False)
        self.logit_scale = scale(config, "logit_scale")

    def forward(
        self,
        tokens_BT: Tensor,
        positions_BT: Tensor | None = None,
        segments_BT: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Logits [B, T, V] of the next token at each place.

        positions default to 0..T-1 in each row; given ones count up along a row, or along a segment. Tokens with
        different segments do not see each other (packing); a segment's tokens stand together. With a cache the tokens
        are stored at their positions and see the slots up to them; without positions the cache counts as empty (the
        prompt). Raises ValueError for a row longer than the context.
        """
        return self.logits(self.hidden(tokens_BT, positions_BT, segments_BT, cache))

    def hidden(
        self,
        tokens_BT: Tensor,
        positions_BT: Tensor | None = None,
        segments_BT: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """The normed last residual stream [B, T, D]; arguments as in `forward`."""
        if segments_BT is not None and positions_BT is None and self.positions.absolute:
            positions_BT = places_in(segments_BT)
        sight = self.sight(tokens_BT, positions_BT, segments_BT, cache)
        out: Tensor = self.norm(self.run(self.embed(tokens_BT, positions_BT), sight))
        return out

    def run(self, x_BTD: Tensor, sight: Sight) -> Tensor:
        """The blocks, one after the other."""
        for block in self.blocks:
            if self.recompute and self.training and torch.is_grad_enabled():
                x_BTD = checkpoint(block, x_BTD, sight, use_reentrant=False)
            else:
                x_BTD = block(x_BTD, sight)
        return x_BTD

    @property
    def head_weight(self) -> Tensor:
        """The output head's matrix [V, D]: logits are cap(logit_scale x hidden @ head_weight.T)."""
        return self.embedding.weight if self.head is None else self.head.weight

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., D] -> [..., V] by the output head; the soft cap is Gemma 2's (arXiv 2408.00118)."""
        logits, cap = F.linear(hidden, self.head_weight), self.config.logit_cap
        if self.logit_scale != 1.0:
            logits = logits * self.logit_scale
        return cap * torch.tanh(logits / cap) if cap else logits

    def embed(self, tokens_BT: Tensor, positions_BT: Tensor | None = None) -> Tensor:
        """Tokens and places as the first residual stream [B, T, D]."""
        T = tokens_BT.shape[1]
        if self.config.context < T:
            raise ValueError(f"{T} tokens in a row, but the context is {self.config.context}")
        x_BTD = self.embedding(tokens_BT)
        if self.embedding_scale != 1.0:
            x_BTD = x_BTD * self.embedding_scale
        offset = self.positions.offset(slice(T) if positions_BT is None else positions_BT)
        out: Tensor = self.dropout(x_BTD if offset is None else x_BTD + offset)
        return out

    def sight(
        self, tokens_BT: Tensor, positions_BT: Tensor | None, segments_BT: Tensor | None, cache: Cache | None
    ) -> Sight:
        """What the blocks share of one forward pass."""
        B, T = tokens_BT.shape
        assert cache is None or segments_BT is None, "a cache holds one segment a row"
        angles = self.positions.angles(slice(T) if positions_BT is None else positions_BT)
        window, slots = self.config.window, None
        queries_BT = keys_BS = torch.arange(T, device=tokens_BT.device)[None]
        if cache is not None and positions_BT is not None:
            queries_BT = positions_BT
            first = max(0, int(queries_BT.min()) - window + 1) if window else 0
            slots = slice(first, int(queries_BT.max()) + 1)
            keys_BS = torch.arange(slots.start, slots.stop, device=tokens_BT.device)[None]
        mask = None  # plain causal has a faster kernel than any mask
        if slots is not None or segments_BT is not None or self.positions.biased or 0 < window < T:
            distances_BTS = queries_BT[:, :, None] - keys_BS[:, None, :]
            mask = attention_mask(distances_BTS, window, segments_BT, self.positions.bias(distances_BTS))
        return Sight(angles, mask, cache, queries_BT.expand(B, T), slots)


def places_in(segments_BT: Tensor) -> Tensor:
    """The place [B, T] of each token in its own segment."""
    places_BT = torch.arange(segments_BT.shape[1], device=segments_BT.device).expand_as(segments_BT)
    begins_BT = F.pad(segments_BT[:, 1:] != segments_BT[:, :-1], (1, 0), value=False)
    return places_BT - torch.where(begins_BT, places_BT, 0).cummax(1).values
