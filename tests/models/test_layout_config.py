"""A layout that cannot work is refused with field, value, rule and remedy."""

from typing import Any

import pytest
from pydantic import ValidationError

from models.config import GPTConfig
from models.layout_config import Layout, LayoutError

SHAPE: dict[str, Any] = {"vocab_size": 60, "context": 16, "layers": 4, "width": 16, "heads": 4, "hidden": 24}


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ({"sequence": True}, r"layout.sequence = True: .* Take tensor 2\."),
        ({"pipeline": 2, "interleave": 2, "micro_batches": 2}, r"layout.interleave = 2: .* one in 1f1b"),
        ({"pipeline": 2, "schedule": "interleaved", "micro_batches": 2}, r"layout.interleave = 1"),
        ({"schedule": "interleaved", "interleave": 2}, r"layout.schedule = interleaved: there is no pipeline"),
        ({"pipeline": 4, "micro_batches": 3}, r"layout.micro_batches = 3: 1F1B .* at least 4"),
        (
            {"pipeline": 2, "schedule": "interleaved", "interleave": 2, "micro_batches": 3},
            r"layout.micro_batches = 3: .* multiple of 2",
        ),
        ({"tensor": 0}, "greater than or equal to 1"),
        ({"tensors": 2}, "Extra inputs"),
    ],
)  # fmt: skip
def test_what_a_layout_alone_rules_out(layout: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Layout.model_validate(layout)


@pytest.mark.parametrize(
    ("layout", "shape", "optimizer", "said"),
    [
        ({"tensor": 3}, {}, "adamw", r"layout.tensor = 3: heads = 4"),
        ({"tensor": 4}, {"kv_heads": 2}, "adamw", r"layout.tensor = 4: kv_heads = 2"),
        ({"tensor": 4}, {"hidden": 22}, "adamw", r"layout.tensor = 4: hidden = 22"),
        ({"tensor": 4, "sequence": True}, {"context": 18}, "adamw", r"layout.tensor = 4: context = 18"),
        ({"pipeline": 3, "micro_batches": 4}, {}, "adamw", r"layout.pipeline = 3: layers = 4"),
        ({"expert": 2}, {}, "adamw", r"layout.expert = 2: the model has no experts. Take fsdp"),
        ({"expert": 2}, {"experts": {"count": 3}}, "adamw", r"layout.expert = 2: experts = 3"),
        ({"fsdp": 3}, {}, "adamw", r"layout.micro_batches = 1: .* 8 rows .* = 3 passes"),
        ({"tensor": 2, "sequence": True}, {"dropout": 0.1}, "adamw", r"layout.sequence = True: dropout"),
        ({"tensor": 2}, {"attention_dropout": 0.1}, "adamw", r"layout.tensor = 2: each head draws its own mask"),
        ({"fsdp": 2}, {}, "adafactor", r"layout.fsdp = 2: optimiser adafactor needs whole matrices.* sgd, muon, or"),
        ({"tensor": 2}, {}, "adafactor", r"layout.tensor = 2: optimiser adafactor"),
    ],
)  # fmt: skip
def test_what_a_shape_rules_out(layout: dict[str, Any], shape: dict[str, Any], optimizer: str, said: str) -> None:
    with pytest.raises(LayoutError, match=said) as caught:
        Layout.model_validate(layout).check(GPTConfig.model_validate(SHAPE | shape), 8, optimizer)
    assert caught.value.field.startswith("layout.")
    assert caught.value.rule
    assert caught.value.remedy


def test_a_layout_that_works_passes() -> None:
    config = GPTConfig.model_validate(SHAPE)
    Layout(fsdp=2, tensor=2, pipeline=2, micro_batches=2).check(config, 8, "muon")
    Layout(pipeline=2, micro_batches=2, replicas=3).check(config, 8, "adafactor")


def test_seats_count_the_last_axis_fastest() -> None:
    layout = Layout(fsdp=2, tensor=3, pipeline=2, micro_batches=2)
    seats = [layout.seat(rank) for rank in range(layout.workers)]
    assert seats == sorted(set(seats))
    assert seats[0] == (0, 0, 0, 0)
    assert seats[1].tensor == 1
    assert seats[-1] == (1, 1, 0, 2)
