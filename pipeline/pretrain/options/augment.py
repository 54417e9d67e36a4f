"""Changed windows: tokens that are hidden from the input, and documents set as prefix, suffix, middle. Knows no files.

What happens to sample k of a run is a function of (seed, k), so it is the same in any worker and after a resume, and
another one each time that a window comes again.
"""

import json
from dataclasses import dataclass

import numpy as np
from torch import Tensor, where

from cluster.errors import ConfigError
from models.tokenizer import Tokenizer
from pipeline.pretrain.config import PretrainConfig
from pipeline.tokens.pieces import Tokens

SENTINELS = (  # prefix, suffix, middle, as vocabularies that were made for it name them
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    ("<PRE>", "<SUF>", "<MID>"),
)


@dataclass(frozen=True)
class Augment:
    """Token dropout (word dropout of Bowman and others, arXiv 1511.06349, section 3.1) and fill-in-the-middle.

    A hidden token stands in the window as ``~id``, below zero: `inputs` reads it as <|pad|>, `targets` as itself.
    """

    seed: int
    dropout: float
    fim_rate: float
    pad: int
    end: int
    sentinels: tuple[int, int, int]

    @classmethod
    def of(cls, how: PretrainConfig, seed: int, tokenizer: Tokenizer) -> "Augment":
        """Raises ConfigError where documents are to be rearranged, but the vocabulary has no tokens to say so."""
        added = {token["content"]: int(token["id"]) for token in json.loads(tokenizer.to_json())["added_tokens"]}
        found = [(added[p], added[s], added[m]) for p, s, m in SENTINELS if {p, s, m} <= added.keys()]
        if how.fim_rate and not found:
            rule = f"the vocabulary has none of {', '.join('/'.join(names) for names in SENTINELS)}"
            raise ConfigError("pretrain.fim_rate", how.fim_rate, rule, "Take 0, or a tokenizer that has them")
        sentinels = found[0] if found else (0, 0, 0)
        return cls(seed, how.token_dropout, how.fim_rate, tokenizer.pad_id, tokenizer.end_id, sentinels)

    def __call__(self, k: int, window: Tokens) -> Tokens:
        """Sample k changed, of the same length."""
        draw = np.random.Generator(np.random.Philox(key=[self.seed, k]))
        if self.fim_rate:
            window = self._middle_last(window, draw)
        if self.dropout:
            hidden = draw.random(len(window)) < self.dropout
            window = np.where(hidden, ~window, window)
        return window

    def _middle_last(self, window: Tokens, draw: np.random.Generator) -> Tokens:
        """Fill-in-the-middle in a window (Bavarian and others, arXiv 2207.14255, sections 3 and 3.1, PSM).

        Each document's part of the window is cut at two places, with `fim_rate`, and set as <prefix> a <suffix> c
        <middle> b. The tokens that the sentinels push over the window's end are lost.
        """
        parts: list[Tokens] = []
        for part in np.split(window, np.flatnonzero(window == self.end) + 1):
            whole = part[:-1] if len(part) and part[-1] == self.end else part
            if len(whole) and draw.random() < self.fim_rate:
                lo, hi = np.sort(draw.integers(0, len(whole) + 1, 2))
                prefix, suffix, middle = (np.array([i], window.dtype) for i in self.sentinels)
                cut = (prefix, whole[:lo], suffix, whole[hi:], middle, whole[lo:hi], part[len(whole) :])
                part = np.concatenate(cut)
            parts.append(part)
        return np.concatenate(parts)[: len(window)]

    def inputs(self, batch: Tensor) -> Tensor:
        """Hidden tokens read <|pad|>."""
        return where(batch < 0, self.pad, batch)

    @staticmethod
    def targets(batch: Tensor) -> Tensor:
        """Every token is its own target."""
        return where(batch < 0, ~batch, batch)
