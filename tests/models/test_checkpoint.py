import hashlib
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.checkpoint import CorruptChunk, Parts, commit, covers, digest, load, save, save_parts
from models.optim import make_optimizer
from tests.models.fakes import tiny_model, tiny_optim


def tensors() -> dict[str, Tensor]:
    return {
        "b": torch.randn(3, 4),
        "a": torch.arange(6).view(2, 3).T,  # not contiguous
        "half": torch.randn(5).bfloat16(),
        "step": torch.tensor(7.0),
        "none": torch.empty(0, 3),
        "yes": torch.tensor([True, False]),
    }


def test_what_is_saved_comes_back() -> None:
    store: dict[str, bytes] = {}
    saved = tensors()
    stated = save(store.__setitem__, "model", saved, {"kind": "gpt", "n": [1, 2]})
    got, facts = load(store.__getitem__, "model")
    assert facts == {"kind": "gpt", "n": [1, 2]}
    assert got.keys() == saved.keys()
    for name, tensor in saved.items():
        assert got[name].dtype == tensor.dtype
        assert got[name].equal(tensor), name
    assert stated == digest(saved) == digest(got)
    assert list(store)[-1] == "model/manifest.json"  # last


def test_digest_sees_name_dtype_shape_and_bytes_but_not_order() -> None:
    x = torch.zeros(4)
    other = [{"b": x}, {"a": x.view(2, 2)}, {"a": x.int()}, {"a": torch.tensor([0.0, 0, 0, -0.0])}]
    assert len({digest(case) for case in [{"a": x}, *other]}) == 5
    assert digest({"a": x, "b": x + 1}) == digest({"b": x + 1, "a": x})


def test_equal_tensors_share_a_chunk() -> None:
    store: dict[str, bytes] = {}
    save(store.__setitem__, "model", {"a": torch.ones(3), "b": torch.ones(3)}, {})
    assert len(store) == 2


def test_every_flipped_bit_is_noticed() -> None:
    store: dict[str, bytes] = {}
    save(store.__setitem__, "model", {"a": torch.ones(3), "b": torch.zeros(2)}, {"kind": "gpt"})
    for piece, data in store.items():
        for place in range(len(data)):
            damaged = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            if piece.endswith("json") and _same_json(damaged, data):
                continue  # white space
            with pytest.raises((CorruptChunk, KeyError)):
                load((store | {piece: damaged}).__getitem__, "model")
        with pytest.raises(CorruptChunk):
            load((store | {piece: data[:-1]}).__getitem__, "model")


def _same_json(one: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


def test_a_pickle_is_not_read(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "x")
    with pytest.raises(CorruptChunk):
        load(lambda _: (tmp_path / "x").read_bytes(), "model")
    with pytest.raises(ValueError, match="dtype complex64"):
        save(lambda *_: None, "model", {"c": torch.ones(1, dtype=torch.complex64)}, {})


def test_an_optimizer_state_fits() -> None:
    model = tiny_model()
    optimizer = make_optimizer(model, tiny_optim())
    model(torch.zeros(1, 4, dtype=torch.int64)).sum().backward()
    optimizer.step()
    flat = {f"{i}/{k}": v for i, state in optimizer.state_dict()["state"].items() for k, v in state.items()}
    store: dict[str, bytes] = {}
    save(store.__setitem__, "optimizer", flat, {})
    assert digest(load(store.__getitem__, "optimizer")[0]) == digest(flat)


Boxes = list[list[list[int]]]


@st.composite
def tilings(draw: st.DrawFn) -> tuple[list[int], Boxes]:
    """A shape, and boxes that make it up: cut in two again and again."""
    shape = draw(st.lists(st.integers(1, 6), max_size=3))
    boxes = [[[0, size] for size in shape]]
    for _ in range(draw(st.integers(0, 5))):
        box = boxes.pop(draw(st.integers(0, len(boxes) - 1)))
        wide = [axis for axis, (low, high) in enumerate(box) if high - low > 1]
        if not wide:
            boxes.append(box)
            continue
        axis = draw(st.sampled_from(wide))
        low, high = box[axis]
        at = draw(st.integers(low + 1, high - 1))
        boxes += [[*box[:axis], span, *box[axis + 1 :]] for span in ([low, at], [at, high])]
    return shape, draw(st.permutations(boxes))


def counted(shape: list[int], boxes: Boxes) -> Tensor:
    """In how many boxes each place is."""
    times = torch.zeros(shape, dtype=torch.int64)
    for box in boxes:
        times[tuple(slice(low, high) for low, high in box)] += 1
    return times


@settings(max_examples=150, deadline=None)
@given(tilings(), st.data())
def test_boxes_cover_a_shape_where_each_place_is_in_one(tiling: tuple[list[int], Boxes], data: st.DataObject) -> None:
    shape, boxes = tiling
    assert covers(shape, boxes)
    changed = [[list(span) for span in box] for box in boxes]
    box = data.draw(st.integers(0, len(boxes) - 1))
    if shape:
        axis, end = data.draw(st.integers(0, len(shape) - 1)), data.draw(st.integers(0, 1))
        changed[box][axis][end] += data.draw(st.sampled_from((-1, 1)))
        inside = all(0 <= low < high <= size for b in changed for (low, high), size in zip(b, shape, strict=True))
        assert covers(shape, changed) == (inside and bool((counted(shape, changed) == 1).all()))
    assert not covers(shape, [*boxes, boxes[box]])
    assert not covers(shape, [*boxes[:box], *boxes[box + 1 :]])


@settings(max_examples=50, deadline=None)
@given(tilings(), st.integers(1, 4))
def test_what_several_wrote_in_parts_comes_back_whole(tiling: tuple[list[int], Boxes], writers: int) -> None:
    shape, boxes = tiling
    store: dict[str, bytes] = {}
    whole, steps = torch.randn(shape), torch.tensor(3.0)
    said = []
    for writer in range(writers):
        own = [(box, whole[tuple(slice(*span) for span in box)]) for box in boxes[writer::writers]]
        parts: Parts = {"step": ((), [([], steps)]), **({"w": (shape, own)} if own else {})}
        said += save_parts(store.__setitem__, "c", parts)
    commit(store.__setitem__, "c", said, {"n": 1})
    got, facts = load(store.__getitem__, "c")
    assert digest(got) == digest({"w": whole, "step": steps}) and facts == {"n": 1}
    taken, _ = load(store.__getitem__, "c", lambda name, tensor: tensor * 2 if name == "step" else None)
    assert taken == {"step": torch.tensor(6.0)}


def halves() -> tuple[dict[str, bytes], list[dict[str, object]]]:
    store: dict[str, bytes] = {}
    x = torch.arange(6.0).view(3, 2)
    first = save_parts(store.__setitem__, "c", {"w": ((3, 2), [([[0, 2], [0, 2]], x[:2])])})
    return store, first + save_parts(store.__setitem__, "c", {"w": ((3, 2), [([[2, 3], [0, 2]], x[2:])])})


def test_parts_that_do_not_make_up_their_tensor_are_refused() -> None:
    store, said = halves()
    with pytest.raises(CorruptChunk, match="do not make up its shape"):
        commit(store.__setitem__, "c", said[:1], {})
    assert "c/manifest.json" not in store
    for other in ({**said[1], "dtype": "int32"}, {**said[1], "shape": [4, 2]}, save_parts(store.__setitem__, "c", {
        "w": ((3, 2), [([[0, 3], [0, 2]], torch.zeros(3, 2))])
    })[0]):  # fmt: skip
        with pytest.raises(ValueError, match="contradict"):
            commit(store.__setitem__, "c", [said[0], other], {})


def test_a_piece_that_is_not_as_large_as_its_box_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot hold a piece"):
        save_parts({}.__setitem__, "c", {"w": ((3, 2), [([[0, 3], [0, 2]], torch.zeros(3, 1))])})


def test_a_manifest_with_a_hole_or_an_overlap_is_refused() -> None:
    store, said = halves()
    commit(store.__setitem__, "c", said, {})
    body = json.loads(store["c/manifest.json"])
    for box in ([[1, 2], [0, 2]], [[2, 4], [0, 2]], [[2, 3], [0, 1]], [[2, 3]], [[2, 2], [0, 2]]):
        body["tensors"][0]["parts"][1]["box"] = box
        body.pop("sha256", None)
        text = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
        forged = json.dumps({**body, "sha256": hashlib.sha256(text).hexdigest()}).encode()
        with pytest.raises(CorruptChunk, match="do not make up"):
            load((store | {"c/manifest.json": forged}).__getitem__, "c")


def test_every_flipped_bit_of_a_part_is_noticed() -> None:
    store, said = halves()
    commit(store.__setitem__, "c", said, {})
    for piece in [piece for piece in store if piece.endswith(".bin")]:
        for place in range(len(store[piece])):
            damaged = bytearray(store[piece])
            damaged[place] ^= 1
            with pytest.raises(CorruptChunk):
                load((store | {piece: bytes(damaged)}).__getitem__, "c")
