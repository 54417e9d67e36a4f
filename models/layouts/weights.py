"""The safetensors of a folder: one file, or shards with an index. Knows no names of weights, and unpickles nothing."""

import json
from collections.abc import Callable, Collection, Mapping

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from models.layouts.pieces import refused

ONE = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD_BYTES = 4 << 30
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
CONVERT = (
    "Where you trust the file, let transformers write it anew: AutoModelForCausalLM.from_pretrained(FOLDER)"
    ".save_pretrained(NEW); a pickle can run any program, so it is not opened here"
)


def read_weights(read: Callable[[str], bytes], names: Collection[str]) -> dict[str, Tensor]:
    """Every tensor of the folder, by the name in its file and in its dtype there. Raises ValueError."""
    tensors: dict[str, Tensor] = {}
    for file in _files(read, names):
        try:
            found = load(read(file))
        except (SafetensorError, KeyError) as error:  # KeyError: a dtype that torch does not have
            rule = f"is no safetensors file that can be read ({error})"
            raise refused("file", file, rule, "Take a whole copy of the folder") from error
        twice = tensors.keys() & found.keys()
        if twice:
            raise refused("file", file, f"has {min(twice)} a second time", "Take a whole copy of the folder")
        tensors |= found
    return tensors


def write_weights(state: Mapping[str, Tensor], shard_bytes: int = SHARD_BYTES) -> dict[str, bytes]:
    """File name -> bytes: one file, or shards of at most `shard_bytes` (one tensor at least) and their index."""
    shards: list[dict[str, Tensor]] = []
    room = 0
    for name in sorted(state):
        if not shards or state[name].nbytes > room:
            shards.append({})
            room = shard_bytes
        shards[-1][name] = state[name]
        room -= state[name].nbytes
    if len(shards) <= 1:
        return {ONE: _bytes(state)}
    files = {f"model-{i:05}-of-{len(shards):05}.safetensors": shard for i, shard in enumerate(shards, 1)}
    index = {
        "metadata": {"total_size": sum(tensor.nbytes for tensor in state.values())},
        "weight_map": {name: file for file, shard in files.items() for name in shard},
    }
    text = json.dumps(index, indent=2, sort_keys=True) + "\n"
    return {INDEX: text.encode()} | {file: _bytes(shard) for file, shard in files.items()}


def _bytes(state: Mapping[str, Tensor]) -> bytes:
    data: bytes = save(dict(state), metadata={"format": "pt"})
    return data


def _files(read: Callable[[str], bytes], names: Collection[str]) -> list[str]:
    """The files that hold the weights. Raises ValueError for none, or where an index names one that is not there."""
    if ONE in names:
        return [ONE]
    if INDEX in names:
        try:
            files = sorted(set(json.loads(read(INDEX))["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise refused("file", INDEX, "is no index of shards", "Take a whole copy of the folder") from error
        for file in files:
            if file not in names or not str(file).endswith(".safetensors"):  # never a path that leads elsewhere
                rule = "the index names it, and the folder has no such safetensors file"
                raise refused("file", file, rule, "Take a whole copy of the folder")
        return files
    pickles = sorted(name for name in names if name.endswith(PICKLES))
    if pickles:
        raise refused("file", pickles[0], "weights are read from safetensors alone", CONVERT)
    raise refused("file", ONE, f"the folder has neither this nor {INDEX}", "Give the folder of a pretrained model")
