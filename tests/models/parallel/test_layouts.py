"""Each layout against the one-process run: first bits, the loss of 20 steps, what a checkpoint of it is worth.

Sums of floats are added up in another order under a layout, so it agrees to a tolerance: a loss to 2e-5 of itself over
20 steps, which is what float32 leaves of some thousand additions.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from models import checkpoint
from models.config import GPTConfig
from models.gpt import GPT, init_weights
from models.layout_config import Layout
from models.optim_config import OptimConfig
from models.parallel.measure import Sent
from models.parallel.mesh import make_place
from models.parallel.objective import Objective
from models.parallel.run import Replica, build
from models.parallel.state import boxed, cut, cut_one, gather, own, take
from models.parallel.step import LayoutStep, Pair
from models.step import LocalExchange
from tests.models.parallel.fakes import (
    MUON,
    OPTIM,
    RATE,
    SEED,
    SHARDS,
    batch,
    made,
    one_process,
    optim,
    shape,
    steps,
    together,
)

STEPS, TOLERANCE = 20, 2e-5

SPARSE: dict[str, Any] = {"experts": {"count": 4, "capacity": 1.5, "balance": "bias", "balance_weight": 0.0}}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "fsdp": ({}, {"fsdp": 2}),
    "fsdp, batch norm": ({"norm": "batch"}, {"fsdp": 2, "micro_batches": 2}),
    "tensor": ({"kv_heads": 2, "qk_norm": True, "bias": True, "norm": "layer"}, {"tensor": 2}),
    "tensor, sequence": ({"activation": "gelu", "bias": True, "qk_norm": True}, {"tensor": 2, "sequence": True}),
    "tensor, alibi, cap": ({"positions": "alibi", "logit_cap": 5.0, "tie_embeddings": False}, {"tensor": 2}),
    "gpipe": ({"positions": "learned"}, {"pipeline": 2, "schedule": "gpipe", "micro_batches": 2}),
    "1f1b": ({"tie_embeddings": False, "placement": "post"}, {"pipeline": 2, "micro_batches": 4}),
    "interleaved": ({"layers": 4}, {"pipeline": 2, "schedule": "interleaved", "interleave": 2, "micro_batches": 4}),
    "expert": (SPARSE | {"bias": True}, {"expert": 2}),
    "experts by tensor": ({"experts": {"count": 4, "every": 2}, "bias": True}, {"tensor": 2, "sequence": True}),
    "muon, fsdp": ({"activation": "gelu"}, {"fsdp": 2}),
    "experts by fsdp": ({"experts": {"count": 4, "capacity": 1.5}}, {"fsdp": 2}),
    "muon, tensor": ({"kv_heads": 2, "bias": True}, {"tensor": 2, "sequence": True}),
}  # fmt: skip
PRODUCTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "fsdp x tensor": ({}, {"fsdp": 2, "tensor": 2}),
    "tensor x pipeline": ({"bias": True}, {"tensor": 2, "sequence": True, "pipeline": 2, "micro_batches": 2}),
    "muon, fsdp x tensor": ({"experts": {"count": 3, "every": 2}, "kv_heads": 2}, {"fsdp": 2, "tensor": 2}),
    "muon, fsdp x pipeline": ({"init": "mup", "base_width": 8}, {"fsdp": 2, "pipeline": 2, "micro_batches": 2}),
    "muon, fsdp x expert": ({"experts": {"count": 6, "every": 2}}, {"fsdp": 2, "expert": 2}),
    "pipeline x expert": ({"experts": {"count": 4}}, {"pipeline": 2, "expert": 2, "micro_batches": 2}),
}  # fmt: skip

COUNTED = {"fsdp": 1, "tensor": 1, "pipeline": 2}  # axis: passes


def trained(config: GPTConfig, layout: Layout, optim: OptimConfig, folder: str) -> Any:
    """(first state, facts of the steps, last state, whether a checkpoint in parts holds it and gives parts back)."""
    replica, step = made(config, layout, optim)
    first = gather(replica, own(replica))
    facts, mine = steps(step, STEPS), own(replica, step.optimizer)
    last = gather(replica, mine)
    mine |= {f"ring.3.{key}": tensor for key, tensor in mine.items()}  # as a guard keeps a state
    write_parts(replica, mine, folder, "state")
    held: dict[str, Tensor] = {}
    whole, _ = checkpoint.load(reader(folder), "state", lambda key, tensor: held.setdefault(key, tensor))
    same = dist.get_rank() != 0 or checkpoint.digest(whole) == checkpoint.digest(
        last | {f"ring.3.{key}": tensor for key, tensor in last.items()}
    )
    back, _ = checkpoint.load(reader(folder), "state", lambda key, tensor: cut_one(replica, key, tensor))
    full = {key: tensor for key, tensor in mine.items() if tensor.numel()}
    same = same and all(back[key].equal(tensor) for key, tensor in full.items())
    all_same: list[bool] = [False] * layout.workers
    dist.all_gather_object(all_same, same)
    return first, facts, last, all_same


def counted(layout: Layout) -> bool:
    """Whether this worker's part of a step has the same bits while what it sends is counted."""
    _, step = made(shape(), layout)
    plain = step.gradient(partial(batch, 0), LocalExchange())
    with Sent() as sent:
        again = step.gradient(partial(batch, 0), LocalExchange())
    assert sent.bytes > 0
    return plain.equal(again)


def adafactor(folder: str) -> bool:
    """Whether moments that are rows and columns of a matrix come back from parts, to whom they belong."""
    config, layout = shape(), Layout(pipeline=2, micro_batches=2)
    replica = build(config, make_place(layout), SEED, Objective())
    optimizer = replica.make_optimizer(OptimConfig(kind="adafactor", peak_lr=1e-2))
    steps(LayoutStep[Pair](replica, optimizer, lambda pair: pair, SHARDS, 1.0), 2)
    mine = own(replica, optimizer)
    assert any(".row_var." in key for key in mine)
    write_parts(replica, mine, folder, "adafactor")
    whole = gather(replica, mine)
    read, _ = checkpoint.load(reader(folder), "adafactor")
    back = {key: cut_one(replica, key, tensor) for key, tensor in read.items()}
    same = dist.get_rank() != 0 or checkpoint.digest(whole) == checkpoint.digest(read)
    return same and all(tensor.equal(back[key]) for key, tensor in mine.items() if tensor.numel())


def write_parts(replica: Replica, mine: dict[str, Tensor], folder: str, name: str) -> None:
    """Each worker its own, and the first the manifest, in a folder that is theirs alone."""
    said: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(said, json.dumps(checkpoint.save_parts(writer(folder), name, boxed(replica, mine))))
    if dist.get_rank() == 0:
        checkpoint.commit(writer(folder), name, [entry for text in said for entry in json.loads(text)], {})
    dist.barrier()


def rounded(layout: Layout, precision: str, recompute: bool) -> list[float]:
    """Losses of five steps, with products in another type or with activations made again."""
    config = shape(experts={"count": 4, "every": 2})
    replica = build(config, make_place(layout), SEED, Objective(precision=precision), recompute)
    step = LayoutStep[Pair](replica, replica.make_optimizer(OPTIM), lambda pair: pair, SHARDS, 1.0)
    return [facts.loss for facts in steps(step, 5)]


def resharded(folder: str, in_parts: bool, optim: OptimConfig = OPTIM) -> Any:
    """Two steps under FSDP, a checkpoint, two under tensor, a checkpoint, two under a pipeline, a checkpoint."""
    config, facts = shape(), []
    layouts = (Layout(fsdp=2), Layout(tensor=2), Layout(pipeline=2, micro_batches=2))
    for number, layout in enumerate(layouts):
        replica, step = made(config, layout, optim)
        if number:
            tensors, _ = checkpoint.load(reader(folder), str(number))
            take(replica, step.optimizer, cut(replica, tensors))
        facts += steps(step, 2, first=2 * number)
        mine = own(replica, step.optimizer)
        if in_parts:
            write_parts(replica, mine, folder, str(number + 1))
            continue
        whole = gather(replica, mine)
        if dist.get_rank() == 0:
            checkpoint.save(writer(folder), str(number + 1), whole, {})
        dist.barrier()
    return facts


def writer(folder: str) -> Any:
    def put(key: str, data: bytes) -> None:
        path = Path(folder, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{dist.get_rank()}")
        partial.write_bytes(data)
        partial.replace(path)

    return put


def reader(folder: str) -> Any:
    return lambda key: Path(folder, key).read_bytes()


def jobs(cases: dict[str, tuple[dict[str, Any], dict[str, Any]]], folder: Path) -> dict[str, Any]:
    return {
        name: (trained, (shape(**about), Layout(**layout), optim(name), str(folder / name)))
        for name, (about, layout) in cases.items()
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("layouts")
    made = {}
    for workers, cases in ((2, CASES), (4, PRODUCTS)):
        own = folder / str(workers)
        own.mkdir()
        more: dict[str, Any] = {}
        if workers == 2:
            more["adafactor"] = (adafactor, (str(folder),))
            more["resharded"] = (resharded, (str(folder / "whole"), False))
            more["resharded in parts"] = (resharded, (str(folder / "parts"), True))
            more["resharded muon"] = (resharded, (str(folder / "muon"), True, MUON))
            for axis, passes in COUNTED.items():
                more[f"counted {axis}"] = (counted, (Layout(**{axis: 2}, micro_batches=passes),))
            for axis in ("expert", "tensor"):
                for how in (("fp32", False), ("fp32", True), ("bf16", False)):
                    more[f"{axis} {how}"] = (rounded, (Layout(**{axis: 2}), *how))
        made |= together(workers, jobs(cases, folder) | more, own)
    made["folder"] = str(folder)
    return made


@pytest.mark.parametrize("name", [*CASES, *PRODUCTS])
def test_first_weights_have_the_bits_of_one_process(found: dict[str, Any], name: str) -> None:
    model = GPT(shape(**(CASES | PRODUCTS)[name][0]))
    init_weights(model, SEED)
    first = found[name][0]
    assert first.keys() == {f"model.{key}" for key in model.state_dict()}
    for key, weight in model.state_dict().items():
        assert torch.equal(first[f"model.{key}"], weight), key


@pytest.mark.parametrize("name", [*CASES, *PRODUCTS])
def test_the_loss_of_twenty_steps_is_that_of_one_process(found: dict[str, Any], name: str) -> None:
    about, given = (CASES | PRODUCTS)[name]
    layout = Layout(**given)
    alone = one_process(shape(**about), layout.data * layout.micro_batches, optim(name))
    expected, (_, facts, last, _) = steps(alone, STEPS), found[name]
    assert expected[-1].loss < expected[0].loss
    for ours, theirs in zip(facts, expected, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=TOLERANCE)
        assert ours.probe == pytest.approx(theirs.probe, rel=1e-4)
        assert ours.grad_norm == pytest.approx(theirs.grad_norm, rel=1e-3)
        assert ours.weight == theirs.weight
    for key, weight in alone.model.state_dict().items():
        assert torch.allclose(last[f"model.{key}"], weight, atol=RATE / 3), key


@pytest.mark.parametrize("axis", ["expert", "tensor"])
def test_recomputation_has_the_same_bits_and_bf16_nearly_the_same_loss(found: dict[str, Any], axis: str) -> None:
    plain, again, half = (found[f"{axis} {how}"] for how in (("fp32", False), ("fp32", True), ("bf16", False)))
    assert again == plain
    assert half != plain
    assert half == pytest.approx(plain, rel=5e-3)


@pytest.mark.parametrize("axis", COUNTED)
def test_counting_what_is_sent_changes_no_bit(found: dict[str, Any], axis: str) -> None:
    assert found[f"counted {axis}"] is True


@pytest.mark.parametrize("name", [*CASES, *PRODUCTS])
def test_a_checkpoint_in_parts_is_what_is_gathered_and_gives_each_worker_its_parts(
    found: dict[str, Any], name: str
) -> None:
    assert found[name][3] == [True] * Layout(**(CASES | PRODUCTS)[name][1]).workers


def test_moments_of_another_shape_than_their_weight_come_back(found: dict[str, Any]) -> None:
    assert found["adafactor"] is True


def test_checkpoints_in_parts_and_whole_go_the_same_way(found: dict[str, Any]) -> None:
    assert found["resharded in parts"] == found["resharded"]
    whole, parts = (checkpoint.load(reader(f"{found['folder']}/{how}"), "3")[0] for how in ("whole", "parts"))
    assert checkpoint.digest(parts) == checkpoint.digest(whole)
    manifest = json.loads(Path(found["folder"], "parts", "3", "manifest.json").read_text())
    kinds = {entry["name"]: "parts" in entry for entry in manifest["tensors"]}
    assert not any(in_parts for name, in_parts in kinds.items() if name.startswith("optim.step"))
    for number in "12":
        manifest = json.loads(Path(found["folder"], "parts", number, "manifest.json").read_text())
        assert any("parts" in entry for entry in manifest["tensors"])


def test_a_checkpoint_goes_from_layout_to_layout_to_one_process(found: dict[str, Any]) -> None:
    alone, calm = one_process(shape()), one_process(shape())
    tensors, _ = checkpoint.load(reader(found["folder"] + "/parts"), "3")
    assert float(tensors["optim.step.norm.weight"]) == 6
    alone.model.load_state_dict({key[6:]: t for key, t in tensors.items() if key.startswith("model.")})
    for name, weight in alone.model.named_parameters():
        alone.optimizer.state[weight] = {
            moment: tensors[f"optim.{moment}.{name}"] for moment in ("exp_avg", "exp_avg_sq", "step")
        }
    expected = steps(calm, 8)
    for ours, theirs in zip([*found["resharded"], *steps(alone, 2, first=6)], expected, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=TOLERANCE)


def test_pieces_of_a_momentum_go_from_layout_to_layout(found: dict[str, Any]) -> None:
    expected = steps(one_process(shape(), optim=MUON), 6)
    for ours, theirs in zip(found["resharded muon"], expected, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=TOLERANCE)
