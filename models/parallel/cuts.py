"""Which part of each parameter a worker holds. Arithmetic alone: no torch, no processes.

A parameter is named and shaped as in the one-process model. Tensor workers cut heads, hidden channels and the
vocabulary; expert workers the experts; pipeline workers take blocks. What is left of it is cut over the data workers by
its first axis, as FSDP2 does.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from models.config import GATED, GPTConfig
from models.layout_config import Layout, Seat

Shape = tuple[int, ...]
Span = tuple[int, int]  # first, length
Box = tuple[slice, ...]


@dataclass(frozen=True)
class Cut:
    """What is kept of one axis, the spans one behind the other."""

    axis: int
    spans: tuple[Span, ...]

    @property
    def length(self) -> int:
        """What is left of the axis."""
        return sum(length for _, length in self.spans)


def shapes(config: GPTConfig) -> dict[str, Shape]:
    """Every parameter of the one-process model with its shape, a tied embedding once."""
    D, H, K = config.width, config.hidden, config.head_width
    inner, into = ("gate_up", 2 * H) if config.activation in GATED else ("up", H)
    rows = (config.heads + 2 * config.key_heads) * K
    found: dict[str, Shape] = {"embedding.weight": (config.vocab_size, D)}
    if config.positions == "learned":
        found["positions.weight"] = (config.context, D)
    for i in range(config.layers):
        block, experts = f"blocks.{i}", (config.experts.count,) if config.sparse(i) else ()
        found |= _norm(config, f"{block}.attention_norm") | _norm(config, f"{block}.mlp_norm")
        if config.qk_norm:
            found |= {f"{block}.attention.{which}_norm.weight": (K,) for which in ("query", "key")}
        layers = {"attention.qkv": (rows, D), "attention.out": (D, D)}
        layers |= {f"mlp.{inner}": (*experts, into, D), "mlp.down": (*experts, D, H)}
        found |= {f"{block}.{name}.weight": shape for name, shape in layers.items()}
        if config.bias:
            found |= {f"{block}.{name}.bias": shape[:-1] for name, shape in layers.items()}
        if experts:
            found[f"{block}.mlp.router.weight"] = (*experts, D)
    if config.placement == "pre":
        found |= _norm(config, "norm")
    return found if config.tie_embeddings else found | {"head.weight": (config.vocab_size, D)}


def _norm(config: GPTConfig, name: str) -> dict[str, Shape]:
    if config.norm == "none":
        return {}
    biased = config.bias and config.norm != "rms"
    return {f"{name}.{part}": (config.width,) for part in (("weight", "bias") if biased else ("weight",))}


def stage_of(config: GPTConfig, layout: Layout, name: str) -> tuple[int, ...]:
    """The stages that hold a parameter; a tied embedding is on the first and the last."""
    last = layout.stages - 1
    if name.startswith("blocks."):
        return (int(name.split(".")[1]) // (config.layers // layout.stages),)
    if name == "embedding.weight":
        return (0, last) if config.tie_embeddings and last else (0,)
    return (0,) if name.startswith("positions.") else (last,)


def holds(config: GPTConfig, layout: Layout, seat: Seat, name: str) -> bool:
    """Whether a worker holds a part of a parameter."""
    return any(stage % layout.pipeline == seat.pipeline for stage in stage_of(config, layout, name))


def counts(config: GPTConfig, layout: Layout, seat: Seat, name: str) -> bool:
    """Whether a worker speaks for its part of a parameter: of workers that hold the same, the first does."""
    shape = shapes(config)[name]
    mine = stage_of(config, layout, name)[0] % layout.pipeline == seat.pipeline
    return mine and (seat.tensor == 0 or tensor_cut(config, layout, seat, name, shape) is not None)


def cuts(config: GPTConfig, layout: Layout, seat: Seat, name: str, shape: Shape) -> tuple[Cut, ...]:
    """What tensor and expert workers keep of a parameter, an axis each; () is all of it."""
    made = []
    if layout.expert > 1 and of_expert(name, shape):
        each = shape[0] // layout.expert
        made.append(Cut(0, ((seat.expert * each, each),)))
    by_tensor = tensor_cut(config, layout, seat, name, shape)
    return (*made, by_tensor) if by_tensor else tuple(made)


def of_expert(name: str, shape: Shape) -> bool:
    """Whether a parameter's first axis is the experts'."""
    return ".mlp." in name and len(shape) == (2 if name.endswith("bias") else 3)


def tensor_cut(config: GPTConfig, layout: Layout, seat: Seat, name: str, shape: Shape) -> Cut | None:
    """Rows of what reads the residual stream, columns of what writes to it, rows of the vocabulary.

    The fused matrices are cut part by part: heads of queries, of keys and of values, the gate's channels and up's.
    """
    if layout.tensor == 1:
        return None
    layer, kind = name.rsplit(".", 1)
    rows = len(shape) - (1 if kind == "bias" else 2)
    parts: tuple[int, ...] | None = None
    if layer.endswith(("attention.qkv", "mlp.gate_up", "mlp.up")) or layer in ("embedding", "head"):
        parts = fused(config, name, shape[rows])
    elif layer.endswith(("attention.out", "mlp.down")) and kind == "weight":
        rows, parts = rows + 1, (shape[rows + 1],)
    if parts is None:
        return None
    begins = [sum(parts[:i]) for i in range(len(parts))]
    own = [share(part, layout.tensor, seat.tensor) for part in parts]
    return Cut(rows, tuple((begin + first, length) for begin, (first, length) in zip(begins, own, strict=True)))


def fused(config: GPTConfig, name: str, rows: int) -> tuple[int, ...]:
    """The rows of each matrix that stands in one: queries, keys and values; the gate's channels and up's."""
    layer = name.rsplit(".", 1)[0]
    if layer.endswith("attention.qkv"):
        kv = config.key_heads * config.head_width
        return rows - 2 * kv, kv, kv
    return (rows // 2,) * 2 if layer.endswith("mlp.gate_up") else (rows,)


def share(size: int, workers: int, index: int) -> Span:
    """One of `workers` shares of [0, size), as even as can be."""
    first = size * index // workers
    return first, size * (index + 1) // workers - first


def data_rows(layout: Layout, seat: Seat, name: str, shape: Shape, rows: int) -> Span:
    """The rows that FSDP leaves of `rows`: equal shares rounded up, so that the last may have fewer."""
    if of_expert(name, shape):
        workers, index = layout.fsdp, seat.fsdp
    else:
        workers, index = layout.data, seat.fsdp * layout.expert + seat.expert
    each = math.ceil(rows / workers)
    first = min(each * index, rows)
    return first, min(each, rows - first)


def cut_shape(shape: Shape, made: tuple[Cut, ...]) -> Shape:
    """What is left of a shape."""
    lengths = {cut.axis: cut.length for cut in made}
    return tuple(lengths.get(axis, size) for axis, size in enumerate(shape))


def boxes(shape: Shape, made: tuple[Cut, ...]) -> Iterator[tuple[Box, Box]]:
    """(place in the whole, place in what is kept) of each piece."""
    spans = {cut.axis: cut.spans for cut in made}
    axes = []
    for axis, size in enumerate(shape):
        at, pairs = 0, []
        for first, length in spans.get(axis, ((0, size),)):
            pairs.append((slice(first, first + length), slice(at, at + length)))
            at += length
        axes.append(pairs)
    for piece in product(*axes):
        yield tuple(there for there, _ in piece), tuple(here for _, here in piece)


def held_rows(config: GPTConfig, layout: Layout, seat: Seat, name: str, shape: Shape) -> Span:
    """The rows, of those that a worker's cuts leave, that FSDP leaves it."""
    left = cut_shape(shape, cuts(config, layout, seat, name, shape))[0]
    return data_rows(layout, seat, name, shape, left)


def places(config: GPTConfig, layout: Layout, seat: Seat, name: str, shape: Shape) -> Iterator[tuple[Box, Box]]:
    """(place in the whole, place in the worker's part) of each piece that a worker holds of a parameter."""
    first, length = held_rows(config, layout, seat, name, shape)
    for there, here in boxes(shape, cuts(config, layout, seat, name, shape)):
        low, high = max(here[0].start, first), min(here[0].stop, first + length)
        if low < high and all(span.start < span.stop for span in here[1:]):
            moved = there[0].start - here[0].start
            yield (slice(low + moved, high + moved), *there[1:]), (slice(low - first, high - first), *here[1:])
