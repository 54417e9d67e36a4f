"""Named tensors as content-addressed chunks and one manifest. Knows no folder, only `put` and `get` of bytes.

A chunk is a tensor's little-endian bytes, named by their sha256, so an unchanged tensor is the same chunk. The manifest
is written last: without it there is no checkpoint. Everything is checked on the way in, and nothing is unpickled.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
WHOLES = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)
DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in (*FLOATS, *WHOLES)}


class CorruptChunk(ValueError):
    """A chunk or manifest is not what was written."""


def save(put: Callable[[str, bytes], None], name: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> str:
    """Write name/<sha256>.bin for each tensor, then name/manifest.json. `facts` must be JSON. Returns the digest."""
    entries, written = [], set()
    for key in sorted(tensors):
        data = _bytes(tensors[key])
        entry = _entry(key, tensors[key], data)
        if entry["sha256"] not in written:
            put(f"{name}/{entry['sha256']}.bin", data)
            written.add(entry["sha256"])
        entries.append(entry)
    body = {"schema": 1, "digest": _digest(entries), "facts": dict(facts), "tensors": entries}
    put(f"{name}/manifest.json", json.dumps({**body, "sha256": _sha256(_canonical(body))}, indent=1).encode())
    return str(body["digest"])


def load(get: Callable[[str], bytes], name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, facts) of what `save` wrote. Raises CorruptChunk where a byte differs; `get` raises where one lacks."""
    try:
        body = json.loads(get(f"{name}/manifest.json"))
        expected = body.pop("sha256")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptChunk(f"{name}/manifest.json: not a manifest ({error})") from error
    if _sha256(_canonical(body)) != expected:
        raise CorruptChunk(f"{name}/manifest.json: contents do not have the sha256 that it states")
    tensors = {entry["name"]: _tensor(get, name, entry) for entry in body["tensors"]}
    return tensors, body["facts"]


def digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over each tensor's (name, dtype, shape, sha256 of its bytes), by name."""
    return _digest([_entry(key, tensors[key], _bytes(tensors[key])) for key in sorted(tensors)])


def _bytes(tensor: Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()


def _entry(name: str, tensor: Tensor, data: bytes) -> dict[str, Any]:
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype not in DTYPES:
        raise ValueError(f"tensor {name} has dtype {dtype}; a checkpoint holds {sorted(DTYPES)}")
    return {"name": name, "dtype": dtype, "shape": list(tensor.shape), "sha256": _sha256(data)}


def _tensor(get: Callable[[str], bytes], name: str, entry: dict[str, Any]) -> Tensor:
    data = get(f"{name}/{entry['sha256']}.bin")
    found = _sha256(data)
    if found != entry["sha256"]:
        raise CorruptChunk(f"{name}: tensor {entry['name']} has sha256 {found}, expected {entry['sha256']}")
    dtype, shape = DTYPES[entry["dtype"]], entry["shape"]
    if math.prod(shape) == 0:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(data), dtype=dtype).reshape(shape)


def _digest(entries: list[dict[str, Any]]) -> str:
    return _sha256(_canonical(entries))


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
