"""What the reward stage trains on and is measured on, from the corpus to numbers. Knows no training and no Ray."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch

from cluster.errors import UserError
from pipeline.finetune.dialogues import read
from pipeline.reward import accuracy, pairs
from pipeline.reward.config import RewardConfig
from pipeline.reward.ranking import encode, load_reward, score_all
from pipeline.stage import StageFolder
from pipeline.tokens.pieces import load_tokenizer


@dataclass(frozen=True)
class Material:
    """Token sequences for the workers, and the counts that the report shows."""

    work: dict[str, Any]
    counts: dict[str, Any]


def material(corpus: StageFolder, tokens: StageFolder, config: RewardConfig, seed: int) -> Material:
    """Read, pass over, split, match and encode. Raises UserError where no pair is left for one of the two sides."""
    tokenizer = load_tokenizer(tokens)
    passed: Counter[str] = Counter()
    chats = {}
    for part in ("kept", "heldout"):
        found, reasons = read(corpus, part, config.sources)
        passed += reasons
        chats[part], reasons = pairs.rated(found, config)
        passed += reasons
    train, test = pairs.split(chats["kept"], chats["heldout"], config.heldout_share, f"reward/{seed}")
    test = test[: config.test_chats]
    train_pairs, test_pairs = pairs.match(train, config), pairs.match(test, config)
    if not train_pairs or not test_pairs:
        found_pairs = f"{len(train_pairs)} training and {len(test_pairs)} held-out pairs"
        rule = f"{len(train) + len(test)} rated chats give {found_pairs}"
        raise UserError("reward.min_gap", config.min_gap, rule, "Lower min_gap, or raise length_tolerance")

    def ids(chat: pairs.Rated) -> list[int]:
        return encode(tokenizer, chat.dialogue, config.max_tokens)

    used = train_pairs[: config.pairs]
    longer = pairs.longer_wins(train, train_pairs) >= 0.5  # the rule's direction is learnt where the model learns
    share = pairs.longer_wins(test, test_pairs)
    work = {
        "train": [[ids(train[p.chosen]), ids(train[p.rejected])] for p in used],
        "chats": [ids(chat) for chat in test],
        "pairs": [[p.chosen, p.rejected] for p in test_pairs],
        "length_baseline": share if longer else 1 - share,
    }
    counts = {
        "passed_over": dict(sorted(passed.items())),
        "chats": {"train": len(train), "heldout": len(test)},
        "pairs": {"train": len(train_pairs), "trained_on": len(used), "heldout": len(test_pairs)},
        "unmatched_length_accuracy": pairs.unmatched_longer_wins(test, config.min_gap),
        "length_rule": "longer" if longer else "shorter",
    }
    return Material(work, counts)


def accuracy_of(folder: StageFolder, work: dict[str, Any], config: RewardConfig, seed: int) -> dict[str, Any]:
    """Score the held-out chats with the trained model, and compare with length alone."""
    torch.set_num_threads(config.threads)
    model, _ = load_reward(folder)
    return accuracy.report(
        score_all(model, work["chats"]),
        [pairs.Pair(*pair) for pair in work["pairs"]],
        work["length_baseline"],
        resamples=config.resamples,
        confidence=config.confidence,
        seed=seed,
    )
