"""How the loss is computed: each choice against the plain one, within a tolerance that is stated."""

import shutil
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cluster.errors import ConfigError
from models.config import GPTConfig
from models.losses import IGNORE
from models.optim import make_optimizer
from models.optim_config import OptimConfig
from models.step import ExactStep, LocalExchange
from pipeline.pretrain import objective
from pipeline.pretrain.config import PretrainConfig

SHAPE = GPTConfig(vocab_size=64, context=16, layers=2, width=32, heads=2, hidden=64)
OPTIM = OptimConfig(peak_lr=1e-2)


def batch(rows: int = 8) -> Tensor:
    return torch.randint(0, 64, (rows, 17), generator=torch.Generator().manual_seed(1))


def gradient(shape: GPTConfig = SHAPE, micro: int = 0, shards: int = 2, counted: int = 16, **how: Any) -> Tensor:
    """The exact step's total over two shards, with dropout's keys those of the shards; of a row, the loss of the first
    `counted` tokens counts."""
    config = PretrainConfig(logical_shards=shards, **how)
    model = objective.build(shape, config, 5)

    def loss(model: torch.nn.Module, rows: Tensor) -> tuple[Tensor, ...]:
        targets = rows[:, 1:].clone()
        targets[:, counted:] = IGNORE
        return objective.loss(model, rows[:, :-1], targets, config)

    parts = (lambda rows: torch.split(rows, micro)) if micro else (lambda rows: (rows,))
    exact = ExactStep(model, make_optimizer(model, OPTIM), loss, shards, 1.0, parts)
    pieces = batch().split(8 // shards)
    return exact.gradient(lambda g: pieces[g], LocalExchange(), key_of=lambda g: 100 + g)


def apart(a: Tensor, b: Tensor) -> float:
    """Distance of two gradients over the length of the first; losses and weights left out."""
    return float(torch.linalg.vector_norm(a[:-4] - b[:-4]) / torch.linalg.vector_norm(a[:-4]))


def shown(total: Tensor) -> float:
    return float(total[-4] / total[-3])


def test_the_loss_is_the_cross_entropy_of_the_next_token() -> None:
    config = PretrainConfig()
    model, rows = objective.build(SHAPE, config, 5), batch()
    total, weight = objective.loss(model, rows[:, :-1], rows[:, 1:], config)
    plain = F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten(), reduction="sum")
    assert total.item() == pytest.approx(plain.item(), rel=1e-6)
    assert weight == 8 * 16


def test_accumulation_over_micro_batches_equals_the_whole_shard() -> None:
    """Tolerance 1e-6: the same sums in another order."""
    whole = gradient()
    for micro in (1, 2, 3):
        assert apart(whole, gradient(micro=micro)) < 1e-6
        assert shown(gradient(micro=micro)) == pytest.approx(shown(whole), rel=1e-6)


def test_bf16_is_near_fp32_and_not_it() -> None:
    """Tolerance: 1 % of the loss and 5 % of the gradient; bf16 has 8 bits of mantissa."""
    plain, low = gradient(), gradient(precision="bf16")
    assert shown(low) == pytest.approx(shown(plain), rel=1e-2)
    assert 1e-4 < apart(plain, low) < 5e-2


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_recomputation_changes_no_bit(dropout: float) -> None:
    shape = SHAPE.model_copy(update={"dropout": dropout, "attention_dropout": dropout})
    assert torch.equal(gradient(shape), gradient(shape, recompute=True))


def test_recomputation_makes_the_blocks_twice() -> None:
    calls = []
    for recompute in (False, True):
        config = PretrainConfig(recompute=recompute)
        model, rows, seen = objective.build(SHAPE, config, 5), batch(), []
        model.train()
        model.blocks[0].attention.register_forward_hook(lambda *_, seen=seen: seen.append(1))
        objective.loss(model, rows[:, :-1], rows[:, 1:], config)[0].backward()
        calls.append(len(seen))
    assert calls == [1, 2]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile on a CPU needs a C++ compiler")
def test_a_compiled_model_is_the_same_but_for_rounding(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tolerance 1e-5: fused operations round elsewhere."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    small = SHAPE.model_copy(update={"layers": 1})
    plain, compiled = gradient(small), gradient(small, compile=True)
    assert apart(plain, compiled) < 1e-5
    assert shown(compiled) == pytest.approx(shown(plain), rel=1e-5)


def test_compiling_keeps_the_names_of_the_weights() -> None:
    built = objective.build(SHAPE, PretrainConfig(compile=shutil.which("g++") is not None), 5)
    assert built.state_dict().keys() == objective.build(SHAPE, PretrainConfig(), 5).state_dict().keys()


def test_compiling_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ConfigError, match="C\\+\\+ compiler"):
        objective.build(SHAPE, PretrainConfig(compile=True), 5)


def test_chunks_of_the_vocabulary_change_the_loss_by_rounding_only() -> None:
    plain, chunked = gradient(), gradient(vocab_chunk=24)
    assert apart(plain, chunked) < 1e-5
    assert shown(chunked) == pytest.approx(shown(plain), rel=1e-6)


@pytest.mark.parametrize("how", [{"z_weight": 0.1}, {"label_smoothing": 0.2}])
def test_what_is_descended_is_not_what_is_shown(how: dict[str, float]) -> None:
    plain, other = gradient(), gradient(**how)
    assert apart(plain, other) > 0.01
    assert shown(other) == pytest.approx(shown(plain), rel=1e-6)


@pytest.mark.parametrize("how", [{"z_weight": 0.1}, {"label_smoothing": 0.2}])
def test_a_probe_scores_plain_cross_entropy(how: dict[str, float]) -> None:
    config = PretrainConfig(**how)
    model, rows = objective.build(SHAPE, config, 5).eval(), batch()
    said = objective.loss(model, rows[:, :-1], rows[:, 1:], config)
    plain = objective.loss(model, rows[:, :-1], rows[:, 1:], PretrainConfig())
    assert len(said) == 2 and said[0].item() == plain[0].item()


def test_the_losses_of_experts_are_descended_and_not_shown() -> None:
    experts = {"count": 4, "top_k": 2, "balance_weight": 1.0}
    sparse = GPTConfig.model_validate({**SHAPE.model_dump(), "experts": experts})
    quiet = GPTConfig.model_validate(
        {**SHAPE.model_dump(), "experts": {**experts, "balance_weight": 0.0, "z_weight": 0.0}}
    )
    with_aux, without = gradient(sparse), gradient(quiet)
    assert apart(without, with_aux) > 1e-4
    assert shown(with_aux) == pytest.approx(shown(without), rel=1e-6)

    def of_aux(counted: int) -> Tensor:
        return (gradient(sparse, counted=counted) - gradient(quiet, counted=counted))[:-4]

    # a mean over tokens, which weighs as the tokens that count: as in fine-tuning and in the layouts
    torch.testing.assert_close(2 * of_aux(8), of_aux(16), rtol=1e-3, atol=1e-4)
