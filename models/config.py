"""The shape of a model and of its optimiser, and what follows from them by arithmetic: parameters, FLOPs, memory.

Knows pydantic only: no torch, so that a plan can be made without loading it.
"""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class GPTConfig(BaseModel):
    """A decoder-only transformer of the Llama family: pre-RMSNorm, rotary positions, SwiGLU, no biases."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vocab_size: int = Field(description="rows of the embedding", ge=2, json_schema_extra={"unit": "tokens"})
    context: int = Field(description="longest sequence the model sees", ge=2, json_schema_extra={"unit": "tokens"})
    layers: int = Field(description="transformer blocks", ge=1, json_schema_extra={"unit": "blocks"})
    width: int = Field(description="size of the residual stream", ge=2, json_schema_extra={"unit": "channels"})
    heads: int = Field(description="attention heads; divides width", ge=1, json_schema_extra={"unit": "heads"})
    hidden: int = Field(description="inner size of the SwiGLU layer", ge=1, json_schema_extra={"unit": "channels"})
    rope_base: float = Field(
        default=10000.0, description="base of the rotary wavelengths", gt=1, json_schema_extra={"unit": "none"}
    )
    norm_eps: float = Field(
        default=1e-5, description="added to the mean square in RMSNorm", gt=0, json_schema_extra={"unit": "none"}
    )
    tie_embeddings: bool = Field(
        default=True, description="the output head is the embedding, transposed", json_schema_extra={"unit": "none"}
    )

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.width % (2 * self.heads):
            raise ValueError(f"width {self.width} must be a multiple of 2 x heads = {2 * self.heads} (rotary pairs)")
        return self

    @property
    def head_width(self) -> int:
        """Channels of one attention head."""
        return self.width // self.heads

    def matrix_parameters(self) -> int:
        """Parameters that a token is multiplied with: the blocks' matrices and the output head."""
        block = 4 * self.width**2 + 3 * self.width * self.hidden
        return self.layers * block + self.vocab_size * self.width

    def parameters(self) -> int:
        """All trained numbers; a tied embedding counts once."""
        norms = (2 * self.layers + 1) * self.width
        embedding = 0 if self.tie_embeddings else self.vocab_size * self.width
        return self.matrix_parameters() + norms + embedding

    def flops_per_token(self, context: int | None = None) -> float:
        """Forward and backward FLOPs of one trained token: 6 N + 12 L d T (PaLM, arXiv 2204.02311, appendix B).

        N are the matrix parameters with the head. The attention term counts the whole T x T square, as the field does
        when it states utilisation; a causal kernel may skip half of it. `context` defaults to the full one.
        """
        length = self.context if context is None else context
        return 6.0 * self.matrix_parameters() + 12.0 * self.layers * self.width * length

    def state_bytes(self) -> int:
        """Bytes of weights, gradients and the two AdamW moments in float32: 16 a parameter."""
        return 16 * self.parameters()


class OptimConfig(BaseModel):
    """AdamW, gradient clipping, and the learning rate as a function of the fraction of tokens seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    peak_lr: float = Field(description="learning rate after the warmup", gt=0, json_schema_extra={"unit": "none"})
    beta1: float = Field(
        default=0.9, description="decay of the gradient's mean", ge=0, lt=1, json_schema_extra={"unit": "none"}
    )
    beta2: float = Field(
        default=0.95, description="decay of the gradient's square", ge=0, lt=1, json_schema_extra={"unit": "none"}
    )
    eps: float = Field(
        default=1e-8, description="added to Adam's denominator", gt=0, json_schema_extra={"unit": "none"}
    )
    weight_decay: float = Field(
        default=0.1, description="decoupled decay of matrices", ge=0, json_schema_extra={"unit": "none"}
    )
    clip_norm: float = Field(
        default=1.0, description="largest global norm of the gradient", gt=0, json_schema_extra={"unit": "none"}
    )
    warmup_fraction: float = Field(
        default=0.02, description="linear warmup from zero", ge=0, le=1, json_schema_extra={"unit": "fraction"}
    )
    decay_fraction: float = Field(
        default=0.5, description="linear decay at the end", ge=0, le=1, json_schema_extra={"unit": "fraction"}
    )
    final_lr_fraction: float = Field(
        default=0.1, description="last learning rate / peak", ge=0, le=1, json_schema_extra={"unit": "fraction"}
    )

    @model_validator(mode="after")
    def _phases_fit(self) -> Self:
        if self.warmup_fraction + self.decay_fraction > 1:
            raise ValueError("warmup_fraction + decay_fraction must be at most 1")
        return self
