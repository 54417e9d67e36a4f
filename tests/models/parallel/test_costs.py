"""What a plan says of a layout, against what its workers hold and send."""

from typing import Any

import pytest

from models.config import GPTConfig
from models.layout_config import Layout
from models.optim_config import OptimConfig
from models.parallel.costs import memory, traffic
from models.parallel.measure import Sent, kept
from models.step import LocalExchange
from tests.models.parallel.fakes import ROWS, SHARDS, batch, made, optim, shape, together

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "fsdp": ({}, {"fsdp": 2, "micro_batches": 2}),
    "fsdp, untied": ({"tie_embeddings": False, "bias": True}, {"fsdp": 2}),
    "tensor": ({"vocab_size": 60, "kv_heads": 2, "qk_norm": True}, {"tensor": 2}),
    "tensor, sequence": ({"vocab_size": 60, "bias": True, "norm": "layer"}, {"tensor": 2, "sequence": True}),
    "pipeline": ({}, {"pipeline": 2, "micro_batches": 4}),
    "gpipe": ({"tie_embeddings": False}, {"pipeline": 2, "schedule": "gpipe", "micro_batches": 2}),
    "interleaved": (
        {"layers": 4}, {"pipeline": 2, "schedule": "interleaved", "interleave": 2, "micro_batches": 2}
    ),
    "expert": ({"experts": {"count": 4, "capacity": 100.0}}, {"expert": 2}),
    "muon, fsdp": ({"kv_heads": 2}, {"fsdp": 2}),
    "muon, tensor": ({"vocab_size": 60, "layers": 3}, {"tensor": 2}),
    "muon, expert": ({"experts": {"count": 4, "capacity": 100.0, "every": 2}}, {"expert": 2}),
    "muon, pipeline": ({}, {"pipeline": 2, "micro_batches": 4}),
}  # fmt: skip


def measured(config: GPTConfig, layout: Layout, optim: OptimConfig) -> dict[str, float]:
    """Of the first worker: bytes sent in one step; bytes of weights, moments, and what a pass keeps."""
    replica, step = made(config, layout, optim)
    batches = [batch(0, g) for g in range(SHARDS)]
    step.apply(step.gradient(lambda g: batches[g], LocalExchange()), 1e-3)  # what is made once
    with Sent() as sent:
        step.apply(step.gradient(lambda g: batches[g], LocalExchange()), 1e-3)
    activations = list[int]()
    if layout.pipeline == 1:
        with kept(replica) as activations:
            replica.train(*(part[: ROWS // layout.data] for part in batches[0]))
    held = sum(part.mine.nbytes for part in replica.parts.values())
    moments = sum(t.nbytes for state in step.optimizer.state.values() for t in state.values() if t.ndim)
    return {"sent": sent.bytes, "weights": held, "moments": moments, "activations": sum(activations)}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    jobs = {
        name: (measured, (shape(**about), Layout(**layout), optim(name))) for name, (about, layout) in CASES.items()
    }
    return together(2, jobs, tmp_path_factory.mktemp("costs"))


@pytest.mark.parametrize("name", CASES)
def test_bytes_are_those_that_were_sent_and_held(found: dict[str, Any], name: str) -> None:
    config, layout = shape(**CASES[name][0]), Layout(**CASES[name][1])
    seat = layout.seat(0)
    held = memory(config, layout, seat, ROWS, optim(name).kind)
    sent = traffic(config, layout, seat, ROWS, SHARDS, optimizer=optim(name).kind)
    assert (sent["matrices"] > 0) == (name.startswith("muon") and layout.pipeline == 1)
    assert held["weights"] == found[name]["weights"]
    assert held["moments"] == found[name]["moments"]
    # targets that are not counted have no logits, and tokens choose their experts
    assert sum(sent.values()) == pytest.approx(found[name]["sent"], rel=0.05 if "expert" in name else 1e-3)


@pytest.mark.parametrize("name", ["tensor", "tensor, sequence", "expert"])
def test_activations_are_those_that_a_pass_keeps(found: dict[str, Any], name: str) -> None:
    config, layout = shape(**CASES[name][0]), Layout(**CASES[name][1])
    expected = memory(config, layout, layout.seat(0), ROWS)["activations"]
    assert expected == pytest.approx(found[name]["activations"], rel=0.2)
