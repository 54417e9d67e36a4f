"""GPT-2's init: N(0, init_std^2) everywhere; what writes to the residual stream is divided by sqrt(2 layers).

Radford and others 2019, "Language Models are Unsupervised Multitask Learners", section 2.3; 0.02 is from their code.
Learned positions have std `init_std` too (their code: 0.01).
"""

import math

from models.config import GPTConfig
from models.init import writes


def first(config: GPTConfig, name: str, shape: tuple[int, ...]) -> float:
    """Standard deviation of a matrix."""
    return config.init_std / math.sqrt(2 * config.layers) if writes(name) else config.init_std
