"""The shape of a model, each choice by its name, and what follows from it by arithmetic: parameters, FLOPs, memory.

Knows pydantic only: no torch, so that a plan can be made without loading it. docs/model.md has each choice's source.
"""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positions = Literal["rotary", "learned", "sinusoidal", "alibi", "none"]
Norm = Literal["rms", "layer", "batch", "none"]
Activation = Literal["swiglu", "geglu", "gelu", "gelu_tanh", "relu", "relu2"]
Init = Literal["small", "gpt2", "xavier", "tfixup", "mup", "completep"]
GATED = ("swiglu", "geglu")


def choice(default: Any, description: str, unit: str = "none", **bounds: Any) -> Any:
    """A field with its unit; every field of a shape changes the result."""
    return Field(default, description=description, json_schema_extra={"unit": unit}, **bounds)


class RotaryConfig(BaseModel):
    """Rotary positions (Su 2021, arXiv 2104.09864) and how their angles are stretched for longer contexts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: float = choice(10000.0, "base of the wavelengths", gt=1)
    scaling: Literal["none", "linear", "ntk", "yarn", "llama3"] = choice("none", "how angles are stretched")
    factor: float = choice(1.0, "context / the context that the angles were made for", ge=1)
    original_context: int = choice(0, "context that the angles were made for; needed by yarn, llama3", "tokens", ge=0)
    low: float = choice(1.0, "turns over the original context below which an angle is stretched whole", gt=0)
    high: float = choice(4.0, "turns above which an angle stays as it is; 32 where scaling is yarn", gt=0)

    @model_validator(mode="before")
    @classmethod
    def _high_of_yarn(cls, given: Any) -> Any:
        """The default of the paper that the scaling is from: arXiv 2309.00071 for yarn, 2407.21783 for llama3."""
        yarn = isinstance(given, dict) and given.get("scaling") == "yarn"
        return {"high": 32.0, **given} if yarn else given


class ExpertsConfig(BaseModel):
    """Mixture of experts in the place of the feed-forward layer; `count` 0 is a dense model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = choice(0, "experts of a layer; 0 is dense", "experts", ge=0)
    top_k: int = choice(2, "experts that a token goes to", "experts", ge=1)
    every: int = choice(1, "each so many-th layer is sparse, the last among them", "layers", ge=1)
    capacity: float = choice(0.0, "most tokens of an expert / an even share; 0 drops none", ge=0)
    normalize: bool = choice(True, "the chosen experts' weights sum to one (Mixtral)")
    balance: Literal["loss", "bias", "none"] = choice("loss", "what keeps the experts evenly used")
    balance_weight: float = choice(0.01, "weight of the balance loss", ge=0)
    bias_rate: float = choice(0.001, "step of an expert's bias, where balance is bias", gt=0)
    z_weight: float = choice(0.001, "weight of the router's z-loss", ge=0)


class GPTConfig(BaseModel):
    """A decoder-only transformer. The defaults are Llama's: pre-RMSNorm, rotary positions, SwiGLU, no biases."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vocab_size: int = choice(..., "rows of the embedding", "tokens", ge=2)
    context: int = choice(..., "longest sequence the model sees", "tokens", ge=2)
    layers: int = choice(..., "transformer blocks", "blocks", ge=1)
    width: int = choice(..., "size of the residual stream", "channels", ge=2)
    heads: int = choice(..., "attention heads; divides width", "heads", ge=1)
    kv_heads: int = choice(0, "heads of keys and values, shared by groups of heads; 0 is one each", "heads", ge=0)
    hidden: int = choice(..., "inner size of the feed-forward layer, or of one expert", "channels", ge=1)
    positions: Positions = choice("rotary", "how a token knows its place")
    rotary: RotaryConfig = choice(RotaryConfig(), "angles of rotary positions")
    norm: Norm = choice("rms", "normalisation")
    norm_eps: float = choice(1e-5, "added to the variance or mean square in a norm", gt=0)
    placement: Literal["pre", "post"] = choice("pre", "norm before a branch, or after the residual sum")
    qk_norm: bool = choice(False, "norm of each query's and key's head (RMS)")
    activation: Activation = choice("swiglu", "nonlinearity of the feed-forward layer")
    window: int = choice(0, "a token sees so many tokens, itself among them; 0 sees all before it", "tokens", ge=0)
    bias: bool = choice(False, "biases in linear layers")
    dropout: float = choice(0.0, "share zeroed of the embeddings and of what a branch adds", "fraction", ge=0, lt=1)
    attention_dropout: float = choice(0.0, "share zeroed of the attention weights", "fraction", ge=0, lt=1)
    tie_embeddings: bool = choice(True, "the output head is the embedding, transposed")
    logit_cap: float = choice(0.0, "logits are cap x tanh(logits / cap); 0 is no cap", ge=0)
    experts: ExpertsConfig = choice(ExpertsConfig(), "mixture of experts")
    init: Init = choice("small", "first weights")
    init_std: float = choice(0.02, "standard deviation of embeddings, and of every matrix in init gpt2", gt=0)
    base_width: int = choice(0, "width at which muP and CompleteP change nothing", "channels", ge=0)
    base_layers: int = choice(0, "depth at which CompleteP changes nothing", "blocks", ge=0)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        pairs = 2 if self.positions == "rotary" else 1
        if self.width % (pairs * self.heads):
            raise ValueError(
                f"width {self.width} must be a multiple of {f'2 x heads = {2 * self.heads} (rotary pairs)'}"
                if pairs == 2
                else f"width {self.width} must be a multiple of heads = {self.heads}"
            )
        for broken, rule in self._rules():
            if broken:
                raise ValueError(rule)
        return self

    def _rules(self) -> list[tuple[bool, str]]:
        """(broken, rule with field, value and remedy) of each combination that cannot work."""
        stretched, experts = self.rotary.scaling, self.experts
        return [
            (
                self.heads % self.key_heads != 0,
                f"kv_heads {self.kv_heads} must divide heads = {self.heads}; take 0 for one each",
            ),
            (
                self.positions != "rotary" and stretched != "none",
                f"rotary.scaling {stretched} needs positions rotary, not {self.positions}; take none",
            ),
            (
                stretched == "none" and self.rotary.factor != 1,
                f"rotary.factor {self.rotary.factor} stretches nothing where rotary.scaling is none; name a scaling",
            ),
            (
                stretched in ("yarn", "llama3") and not self.rotary.original_context,
                f"rotary.original_context 0: scaling {stretched} needs the context that the angles were made for",
            ),
            (
                self.rotary.low >= self.rotary.high,
                f"rotary.low {self.rotary.low} must be below rotary.high = {self.rotary.high}",
            ),
            (
                self.norm == "none" and self.placement == "post",
                "placement post puts a norm after each sum, but norm is none; take pre, or a norm",
            ),
            (
                self.norm == "batch" and self.placement == "post",
                "norm batch after the residual sum is not stable and not built; take placement pre",
            ),
            (
                self.init == "tfixup" and (self.norm != "none" or self.qk_norm),
                f"init tfixup is for models without norms, but norm is {self.norm}{', qk_norm true' * self.qk_norm}; "
                "set norm none and qk_norm false",
            ),
            (
                self.init in ("mup", "completep") and not self.base_width,
                f"base_width 0: init {self.init} needs the width of the small model that was tuned",
            ),
            (
                self.init == "completep" and not self.base_layers,
                "base_layers 0: init completep needs the depth of the small model that was tuned",
            ),
            (
                0 < experts.count < experts.top_k,
                f"experts.top_k {experts.top_k} must be at most experts.count = {experts.count}",
            ),
            (experts.count == 1, "experts.count 1 is a dense layer with a router; take 0, or 2 and more"),
            (
                experts.count > 0 and experts.top_k == 1 and experts.normalize,
                "experts.normalize true gives the one expert of experts.top_k 1 the weight 1, which teaches the router"
                " nothing; set experts.normalize false, or take top_k 2",
            ),
            (
                experts.count > 0 and experts.every > self.layers,
                f"experts.every {experts.every} leaves no sparse layer of {self.layers}; take less",
            ),
        ]

    @property
    def head_width(self) -> int:
        """Channels of one attention head."""
        return self.width // self.heads

    @property
    def key_heads(self) -> int:
        """Heads of keys and values."""
        return self.kv_heads or self.heads

    def sparse(self, layer: int) -> bool:
        """Whether block `layer` has experts."""
        return self.experts.count > 0 and (self.layers - 1 - layer) % self.experts.every == 0

    def matrix_parameters(self) -> int:
        """Parameters that a token is multiplied with: matrices of the blocks (only the chosen experts) and the head."""
        kv = self.key_heads * self.head_width
        attention = 2 * self.width**2 + 2 * self.width * kv
        one = (3 if self.activation in GATED else 2) * self.width * self.hidden
        total = self.layers * attention + self.vocab_size * self.width
        for layer in range(self.layers):
            if self.sparse(layer):
                total += self.experts.top_k * one + self.width * self.experts.count
            else:
                total += one
        return total

    def active_parameters(self) -> int:
        """Trained numbers that one token meets: all but the experts that it does not go to."""
        one = (3 if self.activation in GATED else 2) * self.width * self.hidden
        one += (self.hidden * (2 if self.activation in GATED else 1) + self.width) if self.bias else 0
        asleep = max(0, self.experts.count - self.experts.top_k) * one
        return self.parameters() - asleep * sum(self.sparse(layer) for layer in range(self.layers))

    def parameters(self) -> int:
        """All trained numbers; a tied embedding counts once."""
        gate = 2 if self.activation in GATED else 1
        kv = self.key_heads * self.head_width
        norm = {"rms": 1, "layer": 2, "batch": 2, "none": 0}[self.norm] * self.width
        if not self.bias:
            norm = min(norm, self.width)
        block = 2 * self.width**2 + 2 * self.width * kv + 2 * norm
        block += (2 * self.width + 2 * kv) if self.bias else 0
        block += 2 * self.head_width if self.qk_norm else 0
        one = (gate + 1) * self.width * self.hidden + ((gate * self.hidden + self.width) if self.bias else 0)
        total = self.layers * block + (norm if self.placement == "pre" else 0)
        for layer in range(self.layers):
            total += self.experts.count * (one + self.width) if self.sparse(layer) else one
        total += self.vocab_size * self.width * (1 if self.tie_embeddings else 2)
        return total + (self.context * self.width if self.positions == "learned" else 0)

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
