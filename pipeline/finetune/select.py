"""What finetuning learns from and is tested on: dialogues in a keyed order, until the token budget is full.

Pure: folders in, packed rows and counts out. Knows no training.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cluster.errors import UserError
from models.tokenizer import Tokenizer
from pipeline.finetune.config import FinetuneConfig
from pipeline.finetune.dialogues import Dialogue, read
from pipeline.finetune.packing import Piece, Rows, pack, pieces
from pipeline.rows import fraction
from pipeline.stage import StageFolder
from pipeline.tokens.pieces import load_tokenizer


@dataclass(frozen=True)
class Material:
    """Packed training rows, packed held-out rows, prompts to show, and what was passed over."""

    train: Rows
    heldout: Rows
    prompts: list[str]
    counts: dict[str, Any]


def keyed(dialogues: Iterable[Dialogue], salt: str) -> list[Dialogue]:
    """A shuffle that is a function of the ids and the salt alone."""
    return sorted(dialogues, key=lambda d: (fraction(d.id, salt), d.id))


def material(corpus: StageFolder, tokens: StageFolder, config: FinetuneConfig, context: int, seed: int) -> Material:
    """Read, choose, cut and pack. Raises UserError where the sources hold no dialogue."""
    tokenizer = load_tokenizer(tokens)
    found, passed = read(corpus, "kept", config.sources, config.languages)
    heldout, _ = read(corpus, "heldout", config.sources, config.languages)
    for split, dialogues in (("training", found), ("held-out", heldout)):
        if not dialogues:
            rule = f"no {split} dialogue is left in these sources ({dict(passed)})"
            raise UserError("finetune.sources", list(config.sources), rule, "Name sources with conversations")
    salt = f"finetune/{seed}"
    budget = -(-config.tokens // config.epochs)
    train, counts = _fill(tokenizer, keyed(found, salt), context, budget)
    test, _ = _fill(tokenizer, keyed(heldout, salt), context, config.heldout_tokens)
    rows = pack(train, context, tokenizer.pad_id, config.mask_prompts)
    facts = {
        "documents_passed_over": dict(sorted(passed.items())),
        "dialogues": len(found),
        **counts,
        "rows": len(rows),
        "filled": sum(p.slots for p in train) / (len(rows) * context),
    }
    tested = pack(test, context, tokenizer.pad_id)  # always on the assistant's tokens, so that ablations compare
    return Material(rows, tested, prompts(keyed(heldout, salt), config.samples), facts)


def _fill(
    tokenizer: Tokenizer, dialogues: list[Dialogue], context: int, budget: int
) -> tuple[list[Piece], dict[str, Any]]:
    """Pieces of dialogues, in order, until the budget of tokens is full."""
    chosen: list[Piece] = []
    counts: Counter[str] = Counter(exchanges_too_long=0)
    by_source: Counter[str] = Counter()
    slots = 0
    for dialogue in dialogues:
        if slots >= budget:
            counts["beyond_budget"] += 1
            continue
        made, too_long = pieces(tokenizer, dialogue.answered, context)
        counts["exchanges_too_long"] += too_long
        by_source[dialogue.source] += bool(made)
        chosen += made
        slots += sum(p.slots for p in made)
    return chosen, {"used": dict(sorted(by_source.items())), "pieces": len(chosen), "slots": slots, **counts}


def prompts(dialogues: list[Dialogue], count: int) -> list[str]:
    """First user turns, each text once, in order."""
    return list(dict.fromkeys(d.turns[0].text for d in dialogues))[:count]
