"""Memory and traffic of one worker under a layout, by arithmetic. No torch: a plan is made without it.

Numbers are float32, 4 bytes; traffic is what a worker sends in a step, collectives by a ring: a sum of n bytes over w
workers costs 2 (w - 1) / w n, a gather or a scattered sum half of that. Without recomputation.
Letters: b rows of a pass, T places, D width, H hidden.
"""

import math
from typing import NamedTuple

from models.config import GATED, GPTConfig
from models.layout_config import Layout, Seat
from models.parallel.cuts import Shape, cut_shape, cuts, data_rows, holds, of_expert, shapes, stage_of, tensor_cut
from models.parallel.whole import exchanged, is_turned

FLOAT = 4
MOMENTS = {"adamw": 2, "lion": 1, "sgd": 1}  # Muon's are one of a matrix that it turns and two of the rest


class Held(NamedTuple):
    """Of a parameter that a worker holds: numbers when FSDP has gathered it, as it is sent, and of its own share."""

    whole: int
    sent: int
    share: int


def sizes(config: GPTConfig, layout: Layout, seat: Seat) -> dict[str, Held]:
    """What a worker holds, by name."""
    found = {}
    for name, shape in shapes(config).items():
        if holds(config, layout, seat, name):
            rows, *rest = cut_shape(shape, cuts(config, layout, seat, name, shape))
            row, workers = math.prod(rest), _sharers(layout, name, shape)
            share = data_rows(layout, seat, name, shape, rows)[1]
            found[name] = Held(rows * row, -(-rows // workers) * workers * row, share * row)
    return found


def _sharers(layout: Layout, name: str, shape: Shape) -> int:
    """Workers that share a parameter by FSDP."""
    return layout.fsdp if of_expert(name, shape) else layout.data


def memory(config: GPTConfig, layout: Layout, seat: Seat, rows: int, optimizer: str = "adamw") -> dict[str, float]:
    """Bytes of a worker by what they hold; `rows` are those of a logical shard."""
    held = sizes(config, layout, seat)
    own = sum(part.share for part in held.values())
    turned, (_, owned) = 0, _turned(config, layout, seat, optimizer)
    if optimizer == "muon":
        turned = sum(part.share for name, part in held.items() if is_turned(name, shapes(config)[name]))
    groups = _groups(held)
    gathered = 0.0
    if layout.data > 1:  # a block is gathered while the next one comes; a pipeline keeps all until its last pass
        blocks = sorted((whole for group, whole in groups.items() if group), reverse=True)
        gathered = groups.get("", 0) + sum(blocks if layout.pipeline > 1 else blocks[:2])
    whole_gradients = gathered if layout.pipeline > 1 else max(groups.values()) if layout.data > 1 else 0.0
    return {
        "weights": float(FLOAT * own),
        "gradients": float(FLOAT * own),
        "moments": float(FLOAT * (own * MOMENTS.get(optimizer, 2) - turned)),
        "gathered": FLOAT * max(gathered + whole_gradients, 2.0 * (turned + owned) if owned else 0.0),
        "activations": FLOAT * _activations(config, layout, seat, rows),
    }


def traffic(
    config: GPTConfig, layout: Layout, seat: Seat, rows: int, shards: int, context: int = 0, optimizer: str = "adamw"
) -> dict[str, float]:
    """Bytes that a worker sends in a step by axis, and so that Muon has whole matrices; `shards` are the logical shards
    that its replica computes."""
    held = sizes(config, layout, seat)
    own = FLOAT * sum(part.share for part in held.values())
    passes, b = layout.micro_batches, rows / layout.passes
    stream = FLOAT * b * (context or config.context) * config.width
    found = {
        "fsdp": _fsdp(config, layout, held),
        "tensor": _tensor(config, layout, seat, stream) * passes
        + _once(layout.tensor) * _partials(config, layout, seat),
        "pipeline": _pipeline(config, layout, seat, stream, held),
        "expert": _once(layout.expert) / 2 * 4 * config.experts.top_k * stream * passes * _sparse(config, layout, seat),
    }
    total = {axis: shards * sent for axis, sent in found.items()}
    to_owners = float(FLOAT * _turned(config, layout, seat, optimizer)[0])
    return total | {"matrices": to_owners, "replicas": _once(layout.replicas) * own}


def _turned(config: GPTConfig, layout: Layout, seat: Seat, optimizer: str) -> tuple[int, int]:
    """Numbers that a worker sends so that matrices are turned whole, and numbers of those that it turns for others."""
    if optimizer != "muon" or layout.data * layout.tensor == 1:
        return 0, 0
    alone = layout.model_copy(update={"replicas": 1})
    rank = next(rank for rank in range(layout.workers) if layout.seat(rank) == seat)
    return exchanged(config, alone, seat.pipeline)[rank]


def _once(workers: int) -> float:
    """Bytes sent / bytes summed, over so many workers."""
    return 2 * (workers - 1) / workers


def _groups(held: dict[str, Held]) -> dict[str, int]:
    """Numbers that FSDP gathers at a time: of each block, and "" of what is in none."""
    groups = {"": 0}
    for name, part in held.items():
        block = ".".join(name.split(".")[:2]) if name.startswith("blocks.") else ""
        groups[block] = groups.get(block, 0) + (part.whole if part.whole != part.share else 0)
    return groups


def _fsdp(config: GPTConfig, layout: Layout, held: dict[str, Held]) -> float:
    """Of one shard. A pass gathers a block twice and scatters its gradients once; what is in no block stays gathered. A
    pipeline gathers everything once and scatters it once for all its passes."""
    sent = 0.0
    for name, part in held.items():
        workers = _sharers(layout, name, shapes(config)[name])
        times = layout.micro_batches * (3 if name.startswith("blocks.") else 2) if layout.pipeline == 1 else 2
        sent += times * (workers - 1) / workers * FLOAT * part.sent
    return sent


def _tensor(config: GPTConfig, layout: Layout, seat: Seat, stream: float) -> float:
    """Of one pass: two sums a block in each direction, that of the embedding, and the gradient's at the head."""
    if layout.tensor == 1:
        return 0.0
    each, sparse = config.layers // layout.pipeline, _sparse(config, layout, seat)
    sums = 4.0 * each + sparse * (2 * config.experts.top_k - 2)
    moved = 2.0 * sparse if layout.sequence else 0.0  # half a sum each way, to the router and back
    if seat.pipeline == 0:
        sums += 1
        moved += 1 if layout.sequence else 0
    if seat.pipeline == layout.pipeline - 1:
        sums += 1
    logsums = 3 * (layout.tensor - 1) * stream / config.width if seat.pipeline == layout.pipeline - 1 else 0.0
    return _once(layout.tensor) * stream * (sums + moved / 2) + logsums


def _partials(config: GPTConfig, layout: Layout, seat: Seat) -> float:
    """Bytes of gradients of which each tensor worker has a part (models/parallel/tensor.py, partial)."""
    found = 0
    for name, part in sizes(config, layout, seat).items():
        layer, shape = name.rsplit(".", 1)[0], shapes(config)[name]
        heads = layer.endswith(("query_norm", "key_norm"))
        own = layer.endswith("norm") or (
            name.endswith("bias") and tensor_cut(config, layout, seat, name, shape) is None
        )
        found += part.share if heads or (layout.sequence and own and not of_expert(name, shape)) else 0
    return float(FLOAT * found)


def _pipeline(config: GPTConfig, layout: Layout, seat: Seat, stream: float, held: dict[str, Held]) -> float:
    """Of one shard: the stream from each stage to the next, its gradient back; a tied embedding's gradient."""
    if layout.pipeline == 1:
        return 0.0
    stages = range(seat.pipeline, layout.stages, layout.pipeline)
    sends = sum((stage < layout.stages - 1) + (stage > 0) for stage in stages)
    piece = stream / (layout.tensor if layout.sequence else 1)
    tied = len(stage_of(config, layout, "embedding.weight")) > 1 and "embedding.weight" in held
    return layout.micro_batches * sends * piece + (FLOAT * held["embedding.weight"].share if tied else 0)


def _sparse(config: GPTConfig, layout: Layout, seat: Seat) -> int:
    """Layers with experts that a worker takes part in."""
    each = config.layers // layout.stages
    return sum(config.sparse(i) for i in range(config.layers) if i // each % layout.pipeline == seat.pipeline)


def in_flight(layout: Layout, seat: Seat) -> float:
    """Passes whose activations a worker holds at once, of all its blocks."""
    passes, p, v = layout.micro_batches, layout.pipeline, layout.interleave
    if p == 1:
        return 1
    if layout.schedule == "gpipe":
        return passes
    if layout.schedule == "1f1b":
        return min(passes, p - seat.pipeline)
    return min(passes * v, (v - 1) * p + 2 * (p - 1 - seat.pipeline) + 1) / v


def _activations(config: GPTConfig, layout: Layout, seat: Seat, rows: int) -> float:
    """Numbers kept for the backward pass.

    A branch keeps the residual sum, what the norm made of it, and for RMSNorm that before its weights; attention the
    queries, keys and values, the turned queries and keys, what it mixed; the feed-forward layer what it opened, the
    activation, their product, and of each chosen expert its inputs and outputs too. The loss keeps its gradients.
    """
    D, H, t = config.width, config.hidden, layout.tensor
    places = rows / layout.passes * config.context
    norms = {"rms": 2, "none": 0}.get(config.norm, 1)  # before what the branch reads
    spread = t if layout.sequence else 1
    stream = 2 * (norms * D / spread + D)
    kv = config.key_heads / config.heads
    attention = (2 + 2 * kv + (1 + kv) * (config.positions == "rotary")) * D / t
    inner = (4 if config.activation in GATED else 2) * H / t
    sparse = _sparse(config, layout, seat)
    dense = config.layers // layout.pipeline - sparse
    blocks = (dense + sparse) * (stream + attention) + dense * inner
    blocks += sparse * config.experts.top_k * (inner + 3 * D)
    last = seat.pipeline == layout.pipeline - 1
    loss = places * (norms * D / spread + D) + config.vocab_size * D / t if last else 0
    return places * blocks * in_flight(layout, seat) + loss
