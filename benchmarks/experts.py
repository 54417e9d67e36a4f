"""Speed of a sparse layer beside transformers' Mixtral block with the same weights, forward and backward, interleaved;
and beside a dense layer of the same active FLOPs, which says what routing costs."""

import statistics
import time

import torch
from torch import nn
from transformers import MixtralConfig, __version__
from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock

from benchmarks.claim import record
from models.config import GPTConfig
from models.layers import MLP
from models.mlps.experts import Experts, aux_of

ROUNDS, ROWS, LENGTH, WIDTH, HIDDEN, EXPERTS, TOP_K = 15, 8, 256, 256, 704, 8, 2


def layers() -> dict[str, nn.Module]:
    """Ours and transformers' with equal weights, and the dense layer."""
    shape = {"vocab_size": 2, "context": LENGTH, "layers": 1, "width": WIDTH, "heads": 4}
    experts = {"count": EXPERTS, "top_k": TOP_K}
    ours = Experts(GPTConfig.model_validate({**shape, "hidden": HIDDEN, "experts": experts}))
    theirs = MixtralSparseMoeBlock(
        MixtralConfig(hidden_size=WIDTH, intermediate_size=HIDDEN, num_local_experts=EXPERTS, num_experts_per_tok=TOP_K)
    )
    names = {"gate.weight": "router", "experts.gate_up_proj": "gate_up", "experts.down_proj": "down"}
    theirs.load_state_dict({name: ours.state_dict()[f"{own}.weight"] for name, own in names.items()})
    dense = MLP(GPTConfig.model_validate({**shape, "hidden": TOP_K * HIDDEN}))
    return {"ours": ours, "transformers": theirs, "dense": dense}


def main() -> None:
    """Ratios of times within each round, one process, one thread."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    x = torch.randn(ROWS, LENGTH, WIDTH, requires_grad=True)
    made = layers()
    torch.testing.assert_close(made["ours"](x), made["transformers"](x))
    times: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(ROUNDS):
        for name, layer in made.items():
            start = time.perf_counter()
            loss = layer(x).square().sum()
            aux = aux_of(layer)
            (loss if aux is None else loss + aux).backward()
            times[name].append(time.perf_counter() - start)
    ratios = [a / b for a, b in zip(times["transformers"], times["ours"], strict=True)]
    value = round(statistics.median(ratios), 3)
    sparse = statistics.median(a / b for a, b in zip(times["ours"], times["dense"], strict=True))
    record(
        "experts",
        "speed of a layer of 8 experts, top 2, / transformers' Mixtral block (ours with its balance and z-loss)",
        "",
        value,
        "at least 1.0",
        value >= 1.0,
        runs=[{"ratios": ratios, "time / dense layer of the same active FLOPs": sparse}],
        peers={"transformers": {"value": 1.0, "version": __version__}},
    )


if __name__ == "__main__":
    main()
