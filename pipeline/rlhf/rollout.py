"""The three actors that work on chunks: who answers, who remembers the reference, who judges. Plain classes, no Ray.

Each call is a function of its arguments and of what the class was built from: a call that was lost with its actor is
made again, anywhere, with the same result. Floating point depends on shapes, so a chunk is always computed whole.
"""

import torch
from torch import Tensor

from models.generate import generate, sequence_logprobs
from models.gpt import GPT
from models.tokenizer import Tokenizer
from pipeline.evaluate.weights import load_gpt, load_shape
from pipeline.reward.ranking import load_reward, score_all
from pipeline.rlhf import rule
from pipeline.rlhf.types import Chunk, Reply, Setup, Verdict, Weights
from pipeline.tokens.pieces import load_tokenizer


def as_weights(model: GPT) -> Weights:
    """A copy of the model's state that no later step changes."""
    return {name: tensor.detach().numpy().copy() for name, tensor in model.state_dict().items()}


def load_weights(model: GPT, weights: Weights) -> None:
    """Copy a version of the policy into a model."""
    model.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in weights.items()})


class Rollout:
    """Answers prompts with a version of the policy, with a key-value cache."""

    def __init__(self, setup: Setup) -> None:
        torch.set_num_threads(setup.config.rollout_threads)
        self.setup = setup
        self.model = GPT(load_shape(setup.inputs["finetune"])).eval()
        self.version = -1
        self.tokenizer = load_tokenizer(setup.inputs["tokens"])

    def answer(self, chunk: Chunk, version: int, weights: Weights) -> tuple[Reply, ...]:
        """One reply to each prompt of the chunk. The weights travel with the call, so a new actor is never stale."""
        if version != self.version:
            load_weights(self.model, weights)
            self.version = version
        sampling = self.setup.config.sampling
        samples = generate(
            self.model,
            [list(p.ids) for p in chunk.prompts],
            max_new=sampling.reply_tokens,
            temperature=sampling.temperature,
            stop_id=self.tokenizer.end_id,
            pad_id=self.tokenizer.pad_id,
            keys=chunk.keys(self.setup.seed),
        )
        return tuple(Reply(tuple(s.tokens), tuple(s.logprobs), s.ended) for s in samples)


def padded(chunk_prompts: list[tuple[int, ...]], replies: list[tuple[int, ...]]) -> tuple[Tensor, list[int]]:
    """Prompts with their replies, right-padded ``[B, T]``, and the length of each row."""
    rows = [[*prompt, *reply] for prompt, reply in zip(chunk_prompts, replies, strict=True)]
    longest = max(len(row) for row in rows)
    tokens = torch.tensor([row + [Tokenizer.pad_id] * (longest - len(row)) for row in rows])
    return tokens, [len(row) for row in rows]


class Reference:
    """The fine-tuned model, frozen: how likely it finds what the policy said."""

    def __init__(self, setup: Setup) -> None:
        torch.set_num_threads(setup.config.rollout_threads)
        self.temperature = setup.config.sampling.temperature
        self.model = load_gpt(setup.inputs["finetune"])

    @torch.inference_mode()
    def logprobs(self, answered: tuple[Chunk, tuple[Reply, ...]]) -> tuple[tuple[float, ...], ...]:
        """Log-probability of each token of each reply."""
        chunk, replies = answered
        prompts = [p.ids for p in chunk.prompts]
        tokens, lengths = padded(prompts, [r.tokens for r in replies])
        found = sequence_logprobs(self.model, tokens, lengths, self.temperature)
        return tuple(
            tuple(row[len(prompt) - 1 : length - 1].tolist())
            for row, prompt, length in zip(found, prompts, lengths, strict=True)
        )


class Judge:
    """The rule and the reward model."""

    def __init__(self, setup: Setup) -> None:
        torch.set_num_threads(setup.config.rollout_threads)
        self.tokenizer = load_tokenizer(setup.inputs["tokens"])
        self.model, self.max_tokens = load_reward(setup.inputs["reward"])

    def judge(self, answered: tuple[Chunk, tuple[Reply, ...]]) -> tuple[Verdict, ...]:
        """A verdict on each reply. The reward model reads the prompt and the reply as one chat."""
        chunk, replies = answered
        texts = [self.tokenizer.decode(list(r.tokens)) for r in replies]
        chats = [[*p.ids, *r.tokens][-self.max_tokens :] for p, r in zip(chunk.prompts, replies, strict=True)]
        scores = score_all(self.model, chats)
        judged = zip(texts, replies, scores, strict=True)
        return tuple(Verdict(text, rule.score(text, reply.ended), score) for text, reply, score in judged)
