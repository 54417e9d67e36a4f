"""The weights of a larger model from those of a smaller one. Knows no file, and no optimiser: moments are dropped.

Wider keeps the function (Net2Net, Chen and others 2016, arXiv 1511.05641): channels, heads and hidden units are copied,
and what reads the copies gives each a part of the weight, so that the parts sum to it. The parts differ by random
numbers of zero sum, as copies with equal parts would stay copies (arXiv 2310.07999); by as much as makes the matrix as
large as a fresh one of its width. A norm over channels that are each copied as often sees what it saw before.

Deeper: "identity" keeps the function: behind each block its copies, whose last layers are zero (LLaMA Pro, arXiv
2401.02415). "stack" sets the whole model on itself (G_stack, arXiv 2405.15319), "interleave" each block on itself;
both change the function, and learn faster for it.
"""

import itertools
from typing import Literal

import torch
from torch import Tensor

from models.config import GATED, GPTConfig
from models.init import SCALES, named_generator, scale, writes
from models.parts import part

Depth = Literal["identity", "stack", "interleave"]
Tensors = dict[str, Tensor]
MAY_DIFFER = {"layers", "width", "heads", "kv_heads", "hidden", "context", "dropout", "attention_dropout", "init_std"}
UNLESS_SCALED = {"init", "base_width", "base_layers"}  # first weights alone do not matter any more


def grow(tensors: Tensors, config: GPTConfig, target: GPTConfig, seed: int, depth: Depth = "identity") -> Tensors:
    """A state of shape `config` as one of shape `target`: first wider, then deeper. `seed` keys the random parts.

    Logits stay as they are (to rounding) unless `depth` says otherwise and the depth grows. Raises ValueError, with
    field, value, rule and remedy, where this shape cannot become that one.
    """
    _check(config, target)
    wide = target.model_copy(update={"layers": config.layers})
    return deepen(widen(tensors, config, wide, seed), wide, target, depth)


def deepen(tensors: Tensors, config: GPTConfig, target: GPTConfig, how: Depth = "identity") -> Tensors:
    """A state with more blocks, else of the same shape. Raises ValueError."""
    old, new = config.layers, target.layers
    if new == old:
        return dict(tensors)
    sources = [i % old if how == "stack" else i * old // new for i in range(new)]
    for broken, rule in _depth_rules(config, target, how, sources):
        if broken:
            raise ValueError(rule)
    exact = how == "identity"
    louder = scale(config, "branch_scale") / scale(target, "branch_scale") if exact else 1.0
    grown = {}
    for name, tensor in tensors.items():
        if not name.startswith("blocks."):
            grown[name] = tensor
            continue
        _, block, rest = name.split(".", 2)
        for place, (before, source) in enumerate(itertools.pairwise([-1, *sources])):
            if source == int(block):
                silent = exact and source == before
                factor = (0.0 if silent else louder) if _writer(name) else 1.0
                grown[f"blocks.{place}.{rest}"] = tensor * factor
    return grown


def widen(tensors: Tensors, config: GPTConfig, target: GPTConfig, seed: int) -> Tensors:
    """A state with more channels, heads and hidden units, of the same depth and function. Raises ValueError."""
    _check(config, target)
    times, (copies, parts) = target.width // config.width, _maps(config, target)
    embeds, adds, reads = (
        scale(config, kind) / scale(target, kind) for kind in ("embedding_scale", "branch_scale", "logit_scale")
    )
    grown = {}
    for name, tensor in tensors.items():
        layer, new = name.split(".")[-2], tensor
        matrix = layer in parts and name.endswith("weight")
        if layer in copies and tensor.ndim:
            new = new.index_select(-2 if matrix else -1, copies[layer])
        if matrix:
            new = _parted(new, parts[layer], named_generator(seed, f"grow/{name}"))
        if layer == "embedding":
            new = new * embeds
        elif layer == "head":
            new = new * reads
        elif layer == "norm" and config.tie_embeddings:  # a tied head cannot be parted: what it reads is
            new = new * (reads / embeds / times) if name.endswith(("weight", "bias")) else new
        elif _writer(name):
            new = new * adds
        grown[name] = new
    return grown


def _writer(name: str) -> bool:
    return writes(name.replace(".bias", ".weight"))


def _maps(config: GPTConfig, target: GPTConfig) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """By layer: the old output that each new one copies, and the old input that each new one is a part of."""
    width = torch.arange(target.width) % config.width
    hidden = torch.arange(target.hidden) % config.hidden
    keys = torch.arange(target.key_heads) % config.key_heads
    times, groups = target.width // config.width, torch.arange(config.heads).view(config.key_heads, -1)
    more_groups = target.key_heads > config.key_heads  # else each group has more queries
    queries = (groups.repeat(times, 1) if more_groups else groups.repeat(1, times)).flatten()
    fused = torch.cat([queries, keys + config.heads, keys + config.heads + config.key_heads])
    gate = torch.cat([hidden, hidden + config.hidden]) if config.activation in GATED else hidden
    copies = dict.fromkeys(("embedding", "positions", "norm", "attention_norm", "mlp_norm", "out", "down"), width)
    copies |= {"qkv": _channels(fused, config.head_width), "gate_up": gate, "up": gate}
    parts = dict.fromkeys(("qkv", "gate_up", "up", "router", "head"), width)
    return copies, parts | {"out": _channels(queries, config.head_width), "down": hidden}


def _channels(heads: Tensor, head_width: int) -> Tensor:
    return (heads[:, None] * head_width + torch.arange(head_width)).flatten()


def _parted(weight: Tensor, of: Tensor, generator: torch.Generator) -> Tensor:
    """[..., in] -> [..., len(of)]: new input i has a part of the column of[i]; the parts of a column sum to it.

    Of c parts each is 1/c of the column and a random number, so that its std is that of the weight / sqrt(c).
    """
    counts = torch.bincount(of, minlength=weight.shape[-1]).to(weight.dtype)
    noise = torch.randn((*weight.shape[:-1], len(of)), generator=generator, dtype=weight.dtype)
    sums = torch.zeros_like(weight).index_add(-1, of, noise)
    apart = (noise - (sums / counts).index_select(-1, of)) * (weight.std() / counts.sqrt()).index_select(0, of)
    return (weight / counts).index_select(-1, of) + apart


def _check(config: GPTConfig, target: GPTConfig) -> None:
    """Raise ValueError where one shape does not grow into the other."""
    scaled = any(hasattr(part("inits", shape.init), kind) for shape in (config, target) for kind in SCALES)
    same = set(GPTConfig.model_fields) - MAY_DIFFER - (set() if scaled else UNLESS_SCALED)
    for name in sorted(same):
        old, new = getattr(config, name), getattr(target, name)
        if old != new:
            raise ValueError(f"{name} {new}: the model that grows has {old}; take that")
    for broken, rule in _rules(config, target):
        if broken:
            raise ValueError(rule)


def _rules(config: GPTConfig, target: GPTConfig) -> list[tuple[bool, str]]:
    """(broken, rule with field, value and remedy) of each step that a shape cannot take."""
    old, wider = config, target.width != config.width
    most = old.key_heads * max(1, target.width // old.width)
    return [
        (target.layers < old.layers, f"layers {target.layers}: a model grows from {old.layers}; take as many or more"),
        (target.hidden < old.hidden, f"hidden {target.hidden}: a model grows from {old.hidden}; take as much or more"),
        (
            target.width % old.width != 0,
            f"width {target.width} must be a multiple of {old.width}, as each channel is copied as often as any other",
        ),
        (
            target.head_width != old.head_width,
            f"heads {target.heads}: a head keeps its {old.head_width} channels;"
            f" take {max(1, target.width // old.head_width)}",
        ),
        (
            target.key_heads not in (old.key_heads, most),
            f"kv_heads {target.kv_heads} must be {' or '.join(map(str, sorted({old.key_heads, most})))}",
        ),
        (
            target.context < old.context or (target.context != old.context and old.positions == "learned"),
            f"context {target.context}: the model that grows has {old.context}, with {old.positions} positions;"
            " take that, or more where they are not learned",
        ),
        (
            wider and old.positions in ("alibi", "sinusoidal"),
            f"width {target.width}: {old.positions} positions are others at another width; take {old.width}",
        ),
        (
            wider and old.tie_embeddings and (old.norm == "none" or old.placement == "post"),
            f"width {target.width}: a tied head without a norm before it sees its copies twice; take {old.width},"
            " or a model with tie_embeddings false",
        ),
    ]


def _depth_rules(config: GPTConfig, target: GPTConfig, how: Depth, sources: list[int]) -> list[tuple[bool, str]]:
    return [
        (
            how == "identity" and config.placement == "post",
            f"layers {target.layers}: a block that adds nothing is none where a norm follows it (placement post);"
            " grow by stack or interleave",
        ),
        (
            any(config.sparse(source) != target.sparse(i) for i, source in enumerate(sources)),
            f"layers {target.layers}: by {how} a layer with experts would stand where experts.every ="
            f" {config.experts.every} has none; take a multiple of {config.layers} and stack",
        ),
    ]
