"""Rotary positions in a config.json, in transformers' keys of version 4 and of version 5. Knows no family.

transformers computes the same angles: linear (position interpolation, arXiv 2306.15595), yarn (arXiv 2309.00071) and
llama3 (arXiv 2407.21783). The ntk stretch is a larger base, and is written as one. `dynamic` changes nothing up to the
context that config.json states, and is read as no stretch.
"""

import math
from typing import Any

from models.config import GPTConfig, RotaryConfig
from models.layouts.pieces import refused

FAST = 32.0  # yarn's default of beta_fast
REMEDY = "Take a model with another scaling"


def rope_json(config: GPTConfig) -> dict[str, Any]:
    """rope_theta and rope_scaling (transformers 4), rope_parameters (transformers 5)."""
    rotary, base = config.rotary, config.rotary.base
    if rotary.scaling == "ntk":
        base *= rotary.factor ** (config.head_width / max(1, config.head_width - 2))
    if rotary.scaling in ("none", "ntk"):
        return {"rope_theta": base, "rope_parameters": {"rope_type": "default", "rope_theta": base}}
    scaling: dict[str, Any] = {"rope_type": rotary.scaling, "factor": rotary.factor}
    if rotary.scaling in ("yarn", "llama3"):
        scaling["original_max_position_embeddings"] = rotary.original_context
    if rotary.scaling == "llama3":
        scaling |= {"low_freq_factor": rotary.low, "high_freq_factor": rotary.high}
    if rotary.scaling == "yarn":  # the attention factor is said, since versions differ in what they derive it from
        factor = _attention_factor(rotary.factor)
        scaling |= {"beta_slow": rotary.low, "beta_fast": rotary.high, "attention_factor": factor}
    return {"rope_theta": base, "rope_scaling": scaling, "rope_parameters": {**scaling, "rope_theta": base}}


def rotary_of(found: dict[str, Any], base: float = 10000.0) -> RotaryConfig:
    """Our angles of a config.json; `base` is the family's own default. Raises ValueError for others than ours."""
    given = found.get("rope_parameters") or found.get("rope_scaling") or {}
    kind = given.get("rope_type", given.get("type", "default"))
    base = float(given.get("rope_theta") or found.get("rope_theta") or base)
    part = given.get("partial_rotary_factor") or found.get("partial_rotary_factor") or 1.0
    if part != 1.0:
        raise refused("partial_rotary_factor", part, "all channels of a head turn", REMEDY)
    if kind in ("default", "dynamic"):
        return RotaryConfig(base=base)
    if kind not in ("linear", "yarn", "llama3") or any(isinstance(value, dict) for value in given.values()):
        raise refused("rope_type", kind, "default, linear, dynamic, yarn or llama3, one for all layers", REMEDY)
    factor = float(given["factor"])
    if kind == "linear":
        return RotaryConfig(base=base, scaling="linear", factor=factor)
    original = int(given.get("original_max_position_embeddings") or found["max_position_embeddings"])
    if kind == "llama3":
        low, high = float(given["low_freq_factor"]), float(given["high_freq_factor"])
        return RotaryConfig(base=base, scaling="llama3", factor=factor, original_context=original, low=low, high=high)
    _plain_yarn(given, factor)
    low, high = float(given.get("beta_slow") or 1.0), float(given.get("beta_fast") or FAST)
    return RotaryConfig(base=base, scaling="yarn", factor=factor, original_context=original, low=low, high=high)


def _plain_yarn(given: dict[str, Any], factor: float) -> None:
    """Raises ValueError for what later models changed in yarn."""
    stated = given.get("attention_factor")
    for field, value, broken in (
        ("attention_factor", stated, stated and abs(stated - _attention_factor(factor)) > 1e-6),
        ("mscale", given.get("mscale"), given.get("mscale") and given.get("mscale_all_dim") and not stated),
        ("truncate", given.get("truncate"), given.get("truncate") is False),
    ):
        if broken:
            raise refused(field, value, "yarn is read as its paper has it: 0.1 ln(factor) + 1, whole bounds", REMEDY)


def _attention_factor(factor: float) -> float:
    return 0.1 * math.log(factor) + 1.0 if factor > 1 else 1.0
