"""Named tensors as content-addressed chunks and one manifest. Knows no folder, only `put` and `get` of bytes.

A chunk is a tensor's little-endian bytes, or those of a box of it, named by their sha256, so an unchanged tensor is the
same chunk. The manifest is written last: without it there is no checkpoint. Several writers leave boxes of the same
tensors (`save_parts`), and one of them the manifest (`commit`). Everything is checked on the way in, and nothing is
unpickled.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
WHOLES = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)
Box = Sequence[Sequence[int]]
"""[low, high] along each axis."""
Parts = Mapping[str, tuple[Sequence[int], Sequence[tuple[Box, Tensor]]]]
"""By name: the shape of the whole, and boxes of it."""
Entry = dict[str, Any]

DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in (*FLOATS, *WHOLES)}


class CorruptChunk(ValueError):
    """A chunk or manifest is not what was written."""


def save(put: Callable[[str, bytes], None], name: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> str:
    """Write name/<sha256>.bin for each tensor, then name/manifest.json. `facts` must be JSON. Returns the digest."""
    whole = {key: (tensor.shape, [([[0, size] for size in tensor.shape], tensor)]) for key, tensor in tensors.items()}
    return commit(put, name, save_parts(put, name, whole), facts)


def save_parts(put: Callable[[str, bytes], None], name: str, parts: Parts) -> list[Entry]:
    """Write the chunks of boxes of tensors; returns entries (JSON) for `commit`. A box that is all is the tensor."""
    entries, written = [], set()
    for key in sorted(parts):
        shape, pieces = parts[key]
        said = []
        for box, piece in pieces:
            if [high - low for low, high in box] != list(piece.shape):
                raise ValueError(f"tensor {key}: a box {box} cannot hold a piece of shape {list(piece.shape)}")
            data = _bytes(piece)
            said.append({"box": [list(span) for span in box], "sha256": _sha256(data)})
            if said[-1]["sha256"] not in written:
                put(f"{name}/{said[-1]['sha256']}.bin", data)
                written.add(said[-1]["sha256"])
        alone = len(pieces) == 1 and pieces[0][1].shape == tuple(shape)
        content = {"sha256": said[0]["sha256"]} if alone else {"parts": said}
        entries.append(_head(key, pieces[0][1].dtype, shape) | content)
    return entries


def commit(put: Callable[[str, bytes], None], name: str, said: Iterable[Entry], facts: Mapping[str, Any]) -> str:
    """Write the manifest of what `save_parts` left, of all writers. Several may give the same tensor whole. Raises
    ValueError where they contradict each other, or where boxes do not make up their tensor. Returns the digest."""
    found: dict[str, Entry] = {}
    for entry in said:
        known = found.setdefault(entry["name"], entry)
        if known is not entry and known != entry:
            both = [*known.get("parts", ()), *entry.get("parts", ())]
            found[entry["name"]] = {**known, "parts": both}
            if found[entry["name"]] != {**entry, "parts": both}:
                raise ValueError(f"tensor {entry['name']}: writers contradict each other, {known} and {entry}")
    entries = [found[key] for key in sorted(found)]
    for entry in entries:
        if "parts" in entry:
            entry["parts"] = sorted(entry["parts"], key=lambda part: part["box"])
            _check_cover(name, entry)
    body = {"schema": 1, "digest": _digest(entries), "facts": dict(facts), "tensors": entries}
    put(f"{name}/manifest.json", json.dumps({**body, "sha256": _sha256(_canonical(body))}, indent=1).encode())
    return str(body["digest"])


def load(
    get: Callable[[str], bytes], name: str, take: Callable[[str, Tensor], Tensor | None] = lambda _, tensor: tensor
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, facts) of what was saved. Raises CorruptChunk where a byte differs; `get` raises where one lacks.

    Of each tensor, whole and one at a time, `take(name, tensor)` says what is kept; None is nothing.
    """
    try:
        body = json.loads(get(f"{name}/manifest.json"))
        expected = body.pop("sha256")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptChunk(f"{name}/manifest.json: not a manifest ({error})") from error
    if _sha256(_canonical(body)) != expected:
        raise CorruptChunk(f"{name}/manifest.json: contents do not have the sha256 that it states")
    taken = ((entry["name"], take(entry["name"], _tensor(get, name, entry))) for entry in body["tensors"])
    return {key: tensor for key, tensor in taken if tensor is not None}, body["facts"]


def covers(shape: Sequence[int], boxes: Sequence[Box]) -> bool:
    """Whether boxes lie within a shape, none is empty, and each place of the shape is in exactly one of them."""
    for box in boxes:
        if len(box) != len(shape):
            return False
        if any(not 0 <= low < high <= size for (low, high), size in zip(box, shape, strict=True)):
            return False
    if sum(math.prod(high - low for low, high in box) for box in boxes) != math.prod(shape):
        return False
    beside: list[Box] = []  # those before that reach into this one's first axis
    for box in sorted(boxes, key=lambda box: [list(span) for span in box]):
        beside = [other for other in beside if box and other[0][1] > box[0][0]]
        if any(all(a[0] < b[1] and b[0] < a[1] for a, b in zip(box, other, strict=True)) for other in beside):
            return False
        beside.append(box)
    return True


def digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over each tensor's (name, dtype, shape, sha256 of its bytes), by name."""
    return _digest([_entry(key, tensors[key], _bytes(tensors[key])) for key in sorted(tensors)])


def _bytes(tensor: Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()


def _entry(name: str, tensor: Tensor, data: bytes) -> Entry:
    return {**_head(name, tensor.dtype, tensor.shape), "sha256": _sha256(data)}


def _head(name: str, kind: torch.dtype, shape: Sequence[int]) -> Entry:
    dtype = str(kind).removeprefix("torch.")
    if dtype not in DTYPES:
        raise ValueError(f"tensor {name} has dtype {dtype}; a checkpoint holds {sorted(DTYPES)}")
    return {"name": name, "dtype": dtype, "shape": list(shape)}


def _tensor(get: Callable[[str], bytes], name: str, entry: Entry) -> Tensor:
    if "parts" not in entry:
        return _chunk(get, name, entry, entry["sha256"], entry["shape"])
    _check_cover(name, entry)
    whole = torch.empty(entry["shape"], dtype=DTYPES[entry["dtype"]])
    for part in entry["parts"]:
        place = tuple(slice(low, high) for low, high in part["box"])
        whole[place] = _chunk(get, name, entry, part["sha256"], [high - low for low, high in part["box"]])
    return whole


def _chunk(get: Callable[[str], bytes], name: str, entry: Entry, sha256: str, shape: Sequence[int]) -> Tensor:
    data = get(f"{name}/{sha256}.bin")
    found = _sha256(data)
    if found != sha256:
        raise CorruptChunk(f"{name}: tensor {entry['name']} has sha256 {found}, expected {sha256}")
    dtype = DTYPES[entry["dtype"]]
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise CorruptChunk(f"{name}: tensor {entry['name']} of shape {list(shape)} has {len(data)} bytes")
    if not data:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(data), dtype=dtype).reshape(shape)


def _check_cover(name: str, entry: Entry) -> None:
    if not covers(entry["shape"], [part["box"] for part in entry["parts"]]):
        raise CorruptChunk(f"{name}: the parts of tensor {entry['name']} do not make up its shape {entry['shape']}")


def _digest(entries: list[dict[str, Any]]) -> str:
    return _sha256(_canonical(entries))


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
