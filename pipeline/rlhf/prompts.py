"""Prompts of RLHF: first user turns of real chats, in chunks. Knows no policy and no reward."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cluster.errors import UserError
from models.chat import Turn, prompt
from models.tokenizer import Tokenizer
from pipeline.finetune.dialogues import read
from pipeline.finetune.select import keyed
from pipeline.rlhf.config import SamplingConfig
from pipeline.rlhf.types import Chunk, Prompt
from pipeline.stage import StageFolder
from pipeline.tokens.order import in_passes
from pipeline.tokens.pieces import load_tokenizer


@dataclass(frozen=True)
class Prompts:
    """Prompts that train, prompts that are only evaluated, and how many were passed over for which reason."""

    train: tuple[Prompt, ...]
    heldout: tuple[Prompt, ...]
    passed_over: dict[str, int]


def collect(corpus: StageFolder, tokens: StageFolder, config: SamplingConfig, seed: int) -> Prompts:
    """Distinct first user turns in a keyed order. Raises UserError where a split has none."""
    tokenizer = load_tokenizer(tokens)
    passed: Counter[str] = Counter()
    texts = {}
    for split in ("heldout", "kept"):
        dialogues, _ = read(corpus, split, config.sources)
        texts[split] = [d.turns[0].text for d in keyed(dialogues, f"rlhf/{seed}")]
    heldout = _usable(tokenizer, texts["heldout"], config, passed, set())[: config.heldout_prompts]
    known = {p.text.casefold() for p in heldout}
    train = _usable(tokenizer, texts["kept"], config, passed, known)
    passed["beyond the number of prompts"] += max(0, len(train) - config.prompts)
    if not heldout or not train:
        rule = f"{len(train)} training and {len(heldout)} held-out prompts are left of {dict(passed)}"
        raise UserError("rlhf.sampling.sources", list(config.sources), rule, "Name sources with chats")
    return Prompts(tuple(train[: config.prompts]), tuple(heldout), dict(sorted(passed.items())))


def _usable(
    tokenizer: Tokenizer, texts: Sequence[str], config: SamplingConfig, passed: Counter[str], known: set[str]
) -> list[Prompt]:
    """Texts that are short enough, say something, and are neither held out nor there already."""
    found: list[Prompt] = []
    seen: set[str] = set()
    for text in texts:
        name = text.casefold()
        ids = prompt(tokenizer, [Turn("user", text)])
        if name in known:
            passed["held out"] += 1
        elif name in seen:
            passed["repeated"] += 1
        elif not any(c.isalnum() for c in text):
            passed["no letter"] += 1
        elif len(ids) > config.prompt_tokens:
            passed["too long"] += 1
        else:
            found.append(Prompt(len(found), text, tuple(ids)))
        seen.add(name)
    return found


def train_chunks(prompts: Sequence[Prompt], config: SamplingConfig, seed: int, iteration: int) -> list[Chunk]:
    """The chunks of one iteration: the next prompts of a stateless permutation."""
    chunks = []
    for index in range(config.chunks):
        first = (iteration * config.chunks + index) * config.chunk
        places = range(first, first + config.chunk)
        drawn = tuple(prompts[in_passes(seed, len(prompts), k)] for k in places)
        chunks.append(Chunk("train", iteration, index, drawn, tuple(k // len(prompts) for k in places)))
    return chunks


def heldout_chunks(prompts: Sequence[Prompt], config: SamplingConfig) -> list[Chunk]:
    """All held-out prompts, in chunks; the last may be shorter."""
    cuts = range(0, len(prompts), config.chunk)
    parts = [tuple(prompts[at : at + config.chunk]) for at in cuts]
    return [Chunk("heldout", 0, i, part, (0,) * len(part)) for i, part in enumerate(parts)]


def to_json(prompts: Prompts) -> dict[str, Any]:
    """Prompts as a piece."""
    return {
        "train": [{"text": p.text, "ids": list(p.ids)} for p in prompts.train],
        "heldout": [{"text": p.text, "ids": list(p.ids)} for p in prompts.heldout],
        "passed_over": prompts.passed_over,
    }


def from_json(found: dict[str, Any]) -> Prompts:
    """What `to_json` gave."""

    def of(side: str) -> tuple[Prompt, ...]:
        return tuple(Prompt(i, p["text"], tuple(p["ids"])) for i, p in enumerate(found[side]))

    return Prompts(of("train"), of("heldout"), found["passed_over"])
