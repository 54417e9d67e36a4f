"""A grown model says what the small one said, wherever that is promised, and refuses what it cannot become."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from models.config import GPTConfig
from models.gpt import GPT
from models.inits.growth import Depth, grow
from tests.models.fakes import tiny_config, tiny_model

TOKENS = torch.randint(0, 300, (3, 12), generator=torch.Generator().manual_seed(1))
WIDE = {"width": 32, "heads": 4, "hidden": 40}
DEEP = {"layers": 5}


def shaken(**changes: Any) -> GPT:
    """A model none of whose vectors is at its beginning, so that a forgotten one shows."""
    model = tiny_model(3, **changes)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.ndim == 1:
                tensor.add_(0.3 * torch.rand(tensor.shape, generator=generator))
    return model.eval()


def grown(model: GPT, target: GPTConfig, depth: Depth = "identity", seed: int = 0) -> GPT:
    made = GPT(target)
    made.load_state_dict(grow(model.state_dict(), model.config, target, seed, depth))
    return made.eval()


def same(model: GPT, other: GPT) -> None:
    with torch.no_grad():
        before, after = model(TOKENS), other(TOKENS)
    size = float(before.std())
    assert size > 0.03  # far from saying nothing
    torch.testing.assert_close(after, before, rtol=0, atol=1e-4 * max(1.0, size))
    losses = [F.cross_entropy(logits[:, :-1].flatten(0, 1), TOKENS[:, 1:].flatten()) for logits in (before, after)]
    assert losses[0] == pytest.approx(float(losses[1]), abs=1e-4)


SHAPES: dict[str, dict[str, Any]] = {
    "llama": {},
    "untied": {"tie_embeddings": False},
    "gpt2": {"positions": "learned", "norm": "layer", "activation": "gelu_tanh", "bias": True},
    "no norm": {"norm": "none", "tie_embeddings": False, "positions": "none", "activation": "relu2"},
    "batch norm": {"norm": "batch", "bias": True},
    "grouped": {"heads": 4, "kv_heads": 2, "qk_norm": True, "window": 5},
    "experts": {"experts": {"count": 4, "top_k": 2}, "bias": True},
    "expert bias": {"experts": {"count": 3, "top_k": 1, "normalize": False, "balance": "bias"}, "activation": "gelu"},
    "capped": {"logit_cap": 3.0, "norm": "layer"},
    "muP": {"init": "mup", "base_width": 16},
    "muP, untied": {"init": "mup", "base_width": 8, "tie_embeddings": False},
    "CompleteP": {"init": "completep", "base_width": 16, "base_layers": 1, "bias": True},
    "T-Fixup": {"init": "tfixup", "norm": "none", "tie_embeddings": False},
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("how", ["wider", "deeper", "both"])
def test_a_larger_model_says_the_same(name: str, how: str) -> None:
    model = shaken(**SHAPES[name])
    wide = WIDE | ({"heads": 8, "kv_heads": 4} if name == "grouped" else {})
    changes = {"wider": wide, "deeper": DEEP, "both": wide | DEEP}[how]
    larger = grown(model, GPTConfig.model_validate(model.config.model_dump() | changes))
    assert sum(w.numel() for w in larger.parameters()) > sum(w.numel() for w in model.parameters())
    same(model, larger)


def test_queries_may_grow_in_number_where_keys_do_not() -> None:
    model = shaken(heads=4, kv_heads=2)
    same(model, grown(model, tiny_config(width=32, heads=8, kv_heads=2)))


def test_a_post_norm_model_grows_wider() -> None:
    model = shaken(placement="post", norm="layer", bias=True, tie_embeddings=False)
    same(model, grown(model, GPTConfig.model_validate(model.config.model_dump() | WIDE)))


@settings(max_examples=20, deadline=None)
@given(st.integers(24, 60), st.integers(1, 3), st.integers(2, 6), st.integers(0, 99))
def test_any_hidden_size_and_depth_that_is_larger(hidden: int, times: int, layers: int, seed: int) -> None:
    model = shaken()
    target = tiny_config(hidden=hidden, width=16 * times, heads=2 * times, layers=layers)
    same(model, grown(model, target, seed=seed))


def test_copies_learn_to_differ() -> None:
    model = shaken()
    larger = grown(model, tiny_config(**WIDE))
    assert larger.embedding.weight[:, :16].equal(larger.embedding.weight[:, 16:])
    optimizer = torch.optim.Adam(larger.parameters(), lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(larger(TOKENS)[:, :-1].flatten(0, 1), TOKENS[:, 1:].flatten()).backward()
        optimizer.step()
    seen = larger.embedding.weight[TOKENS.unique()]
    assert (seen[:, :16] - seen[:, 16:]).abs().mean() > 1e-3


def test_a_grown_matrix_is_as_large_as_one_of_its_width() -> None:
    model = shaken(width=64, heads=2, hidden=64)
    larger = grown(model, tiny_config(width=256, heads=8, hidden=64))
    name = "blocks.0.attention.qkv.weight"
    ratio = larger.state_dict()[name].std() / model.state_dict()[name].std()
    assert ratio == pytest.approx(0.5, rel=0.05)  # 1 / sqrt(4)


def test_the_random_parts_go_by_seed_and_name() -> None:
    model = shaken()
    states = [grown(model, tiny_config(**WIDE), seed=seed).state_dict() for seed in (1, 1, 2)]
    name = "blocks.1.mlp.down.weight"
    assert states[0][name].equal(states[1][name])
    assert not states[0][name].equal(states[2][name])


@pytest.mark.parametrize(("how", "blocks"), [("stack", [0, 1, 2, 0, 1, 2, 0]), ("interleave", [0, 0, 0, 1, 1, 2, 2])])
def test_blocks_are_copied_in_the_stated_order(how: Depth, blocks: list[int]) -> None:
    model = shaken(layers=3)
    state = grow(model.state_dict(), model.config, tiny_config(layers=7), 0, how)
    for place, block in enumerate(blocks):
        for part in ("attention.qkv", "mlp.down"):
            assert state[f"blocks.{place}.{part}.weight"].equal(model.state_dict()[f"blocks.{block}.{part}.weight"])


def test_new_blocks_begin_silent_and_do_not_stay_so() -> None:
    model = shaken()
    larger = grown(model, tiny_config(layers=4))
    silent = [not block.mlp.down.weight.any() for block in larger.blocks]  # type: ignore[union-attr]
    assert silent == [False, True, False, True]
    larger(TOKENS).square().mean().backward()
    assert larger.blocks[1].mlp.down.weight.grad.any()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("own", "target", "rule"),
    [
        ({}, {"width": 24, "heads": 3}, "width 24 must be a multiple of 16, as each channel"),
        ({}, {"layers": 1}, "layers 1: a model grows from 2"),
        ({}, {"hidden": 16}, "hidden 16: a model grows from 24"),
        ({}, {"width": 32, "heads": 2}, "heads 2: a head keeps its 8 channels; take 4"),
        ({}, {"heads": 4}, "heads 4: a head keeps its 8 channels; take 2"),
        ({"heads": 4, "kv_heads": 2}, {"kv_heads": 1}, "kv_heads 1 must be 2"),
        ({}, {"norm": "layer"}, "norm layer: the model that grows has rms; take that"),
        ({}, {"vocab_size": 301}, "vocab_size 301: the model that grows has 300"),
        ({"positions": "alibi"}, {"width": 32, "heads": 4}, "alibi positions are others at another width"),
        ({"positions": "sinusoidal"}, {"width": 32, "heads": 4}, "sinusoidal positions are others"),
        ({"positions": "learned"}, {"context": 64}, "context 64: the model that grows has 32, with learned"),
        ({"norm": "none"}, {"width": 32, "heads": 4}, "a tied head without a norm before it"),
        ({"placement": "post"}, {"layers": 3}, "a block that adds nothing is none where a norm follows"),
        ({"init": "mup", "base_width": 16}, {"base_width": 32}, "base_width 32: the model that grows has 16"),
        ({"experts": {"count": 2, "every": 2}}, {"layers": 3}, "take a multiple of 2 and stack"),
    ],
)
def test_what_cannot_be_kept_is_refused(own: dict[str, Any], target: dict[str, Any], rule: str) -> None:
    model = shaken(**own)
    with pytest.raises(ValueError, match=rule):
        grown(model, GPTConfig.model_validate(model.config.model_dump() | target))


def test_sparse_layers_stay_sparse_when_stacked() -> None:
    model = shaken(experts={"count": 2, "every": 2})
    larger = grown(model, tiny_config(layers=4, experts={"count": 2, "every": 2}), "stack")
    assert [hasattr(block.mlp, "router") for block in larger.blocks] == [False, True, False, True]


def test_first_weights_may_have_come_from_another_init() -> None:
    model = shaken()
    same(model, grown(model, tiny_config(init="gpt2", **DEEP)))
