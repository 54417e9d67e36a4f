import pytest
import torch
from pydantic import ValidationError
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from models.config import GPTConfig
from models.gpt import GPT
from tests.models.fakes import tiny_config, tiny_optim


@pytest.mark.parametrize("tied", [True, False])
def test_parameters_are_those_of_the_real_model(tied: bool) -> None:
    config = tiny_config(tie_embeddings=tied, layers=3)
    assert config.parameters() == sum(weight.numel() for weight in GPT(config).parameters())


def test_parameters_of_a_known_model() -> None:
    # Llama-2-7B: 32 layers, width 4096, hidden 11008, vocabulary 32000, untied
    llama = GPTConfig(
        vocab_size=32000, context=4096, layers=32, width=4096, heads=32, hidden=11008, tie_embeddings=False
    )
    assert llama.parameters() == 6_738_415_616
    assert llama.state_bytes() == 16 * 6_738_415_616


def test_flops_are_those_that_torch_counts() -> None:
    config = tiny_config()
    model = GPT(config)
    tokens = torch.zeros(1, config.context, dtype=torch.int64)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:  # it does not know the fused kernel
        model(tokens)
    assert config.flops_per_token() * config.context == 3 * counter.get_total_flops()
    assert config.flops_per_token(8) < config.flops_per_token()


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValidationError, match="multiple of 2 x heads"):
        tiny_config(width=18, heads=4)
    with pytest.raises(ValidationError, match="Extra inputs"):
        tiny_config(widht=16)
    with pytest.raises(ValidationError, match="at most 1"):
        tiny_optim(warmup_fraction=0.6, decay_fraction=0.6)


def test_every_field_says_what_it_is() -> None:
    for config in (tiny_config(), tiny_optim()):
        for name, field in type(config).model_fields.items():
            assert field.description, name
            assert isinstance(field.json_schema_extra, dict)
            assert field.json_schema_extra["unit"], name


@pytest.mark.parametrize(("changes", "rule"), [
    ({"heads": 4, "kv_heads": 3}, "kv_heads 3 must divide heads = 4; take 0"),
    ({"positions": "alibi", "rotary": {"scaling": "linear", "factor": 2}}, "rotary.scaling linear needs .* take none"),
    ({"rotary": {"factor": 2}}, "rotary.factor 2.0 stretches nothing .* name a scaling"),
    ({"rotary": {"scaling": "yarn", "factor": 2}}, "rotary.original_context 0: scaling yarn needs"),
    ({"rotary": {"low": 4}}, "rotary.low 4.0 must be below rotary.high = 4.0"),
    ({"norm": "none", "placement": "post"}, "placement post .* norm is none; take pre"),
    ({"norm": "batch", "placement": "post"}, "norm batch after .* take placement pre"),
    ({"init": "tfixup"}, "init tfixup is for models without norms, but norm is rms; set norm none"),
    ({"init": "mup"}, "base_width 0: init mup needs"),
    ({"init": "completep", "base_width": 8}, "base_layers 0: init completep needs"),
    ({"experts": {"count": 2, "top_k": 3}}, "experts.top_k 3 must be at most experts.count = 2"),
    ({"experts": {"count": 4, "every": 3}}, "experts.every 3 leaves no sparse layer of 2; take less"),
    ({"positions": "learned", "width": 17}, "width 17 must be a multiple of heads = 2"),
])  # fmt: skip
def test_nonsense_is_refused_with_field_value_rule_and_remedy(changes: dict[str, object], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        tiny_config(**changes)


def test_the_turns_of_a_stretch_are_its_papers() -> None:
    assert tiny_config(rotary={"scaling": "yarn", "original_context": 8}).rotary.high == 32
    assert tiny_config(rotary={"scaling": "yarn", "original_context": 8, "high": 9}).rotary.high == 9
    assert tiny_config(rotary={"scaling": "llama3", "original_context": 8}).rotary.high == 4
    again = tiny_config(rotary={"scaling": "yarn", "original_context": 8})
    assert GPTConfig(**again.model_dump()) == again
