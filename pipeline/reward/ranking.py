"""The reward model as a task of the training loop: pairs of chats in, summed Bradley-Terry loss out.

Knows no replicas, no failures, and no ratings (pairs.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models import checkpoint
from models.chat import render
from models.config import GPTConfig
from models.heads import ScalarModel
from models.losses import bradley_terry_sum
from models.tokenizer import Tokenizer
from pipeline.evaluate.weights import load_gpt, load_shape
from pipeline.finetune.dialogues import Dialogue
from pipeline.reward.config import RewardConfig
from pipeline.stage import StageFolder
from pipeline.tokens.order import in_passes

PAIRS = "work/pairs.json"  # {"train": [[ids, ids], ...], "chats": [ids, ...]}


@dataclass(frozen=True)
class Batch:
    """Chosen chats above rejected ones, right-padded ``[2B, T]``, and the place of each chat's last token ``[2B]``."""

    tokens: Tensor
    last: Tensor

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]], pad_id: int = Tokenizer.pad_id) -> "Batch":
        longest = max(len(s) for s in sequences)
        rows = [[*s, *[pad_id] * (longest - len(s))] for s in sequences]
        return cls(torch.tensor(rows), torch.tensor([len(s) - 1 for s in sequences]))


def encode(tokenizer: Tokenizer, dialogue: Dialogue, max_tokens: int) -> list[int]:
    """The last tokens of a chat: what the reward model reads."""
    return render(tokenizer, dialogue.turns)[0][-max_tokens:]


def scores(model: ScalarModel, batch: Batch) -> Tensor:
    """The value at each chat's last token: ``[2B]``."""
    values_BT: Tensor = model(batch.tokens)
    return values_BT.gather(1, batch.last[:, None])[:, 0]


class RankingTask:
    """A pure function of (pairs, config, step, shard)."""

    def __init__(self, config: RewardConfig, seed: int, pairs: list[list[list[int]]], start: StageFolder) -> None:
        assert pairs, "nothing to train on"
        self.config, self.seed, self.pairs, self.start = config, seed, pairs, start
        self.shards, self.optim = config.logical_shards, config.optim
        self.steps = max(1, config.pairs // config.batch)

    def build(self) -> nn.Module:
        """A language model's body under a new head."""
        body = load_gpt(self.start)
        model = ScalarModel(body.config)
        model.body.load_state_dict(body.state_dict())
        model.init_head(self.config.head_std, self.seed)
        return model.train()

    def shard(self, step: int, g: int) -> Batch:
        """A contiguous share of the step's pairs."""
        each = self.config.batch // self.shards
        first = step * self.config.batch + g * each
        mine = [self.pairs[in_passes(self.seed, len(self.pairs), k)] for k in range(first, first + each)]
        return Batch.of([chosen for chosen, _ in mine] + [rejected for _, rejected in mine])

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        assert isinstance(model, ScalarModel)
        chosen, rejected = scores(model, batch).chunk(2)
        return bradley_terry_sum(chosen, rejected)

    def probe(self, step: int, g: int) -> None:
        return None

    def fraction(self, step: int) -> float:
        return (step + 0.5) / self.steps

    def tokens(self, step: int) -> int:
        return step * self.config.batch * 2 * self.config.max_tokens

    def facts(self) -> dict[str, Any]:
        shape = load_shape(self.start).model_dump()
        return {"kind": "scalar", "config": shape, "max_tokens": self.config.max_tokens}


def make_task(run: str, *, config: dict[str, Any], seed: int, fingerprint: str) -> RankingTask:
    """The task of a run, built by name in each worker."""
    reward = RewardConfig(**config)
    pairs = StageFolder.open(run, "reward", fingerprint).read_json(PAIRS)["train"]
    return RankingTask(reward, seed, pairs, StageFolder.open(run, reward.init))


def load_reward(folder: StageFolder) -> tuple[ScalarModel, int]:
    """A trained reward model, and how many tokens it was trained to read."""
    tensors, facts = checkpoint.load(folder.read_bytes, "model")
    assert facts["kind"] == "scalar", f"{folder.stage} wrote a {facts['kind']} model"
    model = ScalarModel(GPTConfig(**facts["config"]))
    model.load_state_dict(tensors)
    return model.eval(), int(facts["max_tokens"])


@torch.inference_mode()
def score_all(model: ScalarModel, chats: Sequence[Sequence[int]], batch: int = 8) -> list[float]:
    """The score of each chat, in order; chats of like length run together."""
    order = sorted(range(len(chats)), key=lambda i: (len(chats[i]), i))
    found = [0.0] * len(chats)
    for at in range(0, len(order), batch):
        mine = order[at : at + batch]
        for i, score in zip(mine, scores(model, Batch.of([chats[i] for i in mine])).tolist(), strict=True):
            found[i] = score
    return found
