import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.checkpoint import CorruptChunk, digest, load, save
from models.optim import make_adamw
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
    optimizer = make_adamw(model, tiny_optim())
    model(torch.zeros(1, 4, dtype=torch.int64)).sum().backward()
    optimizer.step()
    flat = {f"{i}/{k}": v for i, state in optimizer.state_dict()["state"].items() for k, v in state.items()}
    store: dict[str, bytes] = {}
    save(store.__setitem__, "optimizer", flat, {})
    assert digest(load(store.__getitem__, "optimizer")[0]) == digest(flat)
