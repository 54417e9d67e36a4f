import pytest
import torch

from models.heads import ScalarModel
from models.optim import make_adamw, set_lr
from tests.models.fakes import tiny_config, tiny_model, tiny_optim


def test_only_matrices_of_the_blocks_decay() -> None:
    model = ScalarModel(tiny_config(tie_embeddings=False))
    optimizer = make_adamw(model, tiny_optim(weight_decay=0.3))
    decay = {id(weight): group["weight_decay"] for group in optimizer.param_groups for weight in group["params"]}
    assert len(decay) == len(list(model.parameters()))
    for name, weight in model.named_parameters():
        none = "norm" in name or "embedding" in name or name.endswith("bias")
        assert decay[id(weight)] == (0.0 if none else 0.3), name


def test_one_update_is_adamw() -> None:
    model = tiny_model()
    optimizer = make_adamw(model, tiny_optim(weight_decay=0.5))
    weight, norm = model.get_parameter("blocks.0.mlp.down.weight"), model.norm.weight
    old, old_norm = weight.detach().clone(), norm.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, -3.0)
    set_lr(optimizer, 0.1)
    optimizer.step()
    # the first step of Adam is the sign of the gradient
    torch.testing.assert_close(weight.detach(), old * (1 - 0.1 * 0.5) + 0.1)
    torch.testing.assert_close(norm.detach(), old_norm + 0.1)


def test_set_lr_overrules_a_loaded_state() -> None:
    model = tiny_model()
    optimizer = make_adamw(model, tiny_optim())
    state = optimizer.state_dict()
    state["param_groups"][0]["lr"] = 99.0
    optimizer.load_state_dict(state)
    set_lr(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.25, 0.25])


def test_frozen_weights_are_left_out() -> None:
    model = tiny_model()
    model.embedding.weight.requires_grad = False
    groups = make_adamw(model, tiny_optim()).param_groups
    assert all(weight is not model.embedding.weight for group in groups for weight in group["params"])
