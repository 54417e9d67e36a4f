"""Layouts at random, for what must hold of any."""

from typing import Any

from hypothesis import strategies as st

from models.config import GPTConfig
from models.layout_config import Layout

BASE: dict[str, Any] = {"vocab_size": 61, "context": 16, "layers": 4, "width": 16, "heads": 4, "hidden": 24}


def layouts(config: GPTConfig) -> st.SearchStrategy[Layout]:
    """What the shape can be laid out in; experts are cut where there are some."""
    two = st.sampled_from([1, 2])
    return st.builds(
        Layout,
        fsdp=st.integers(1, 3),
        tensor=two,
        pipeline=two,
        expert=two if config.experts.count else st.just(1),
        micro_batches=st.just(2),
    )
