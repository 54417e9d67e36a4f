"""The policy learner with its value function: experience in, the next version of the policy out. Plain class, no Ray.

Its state is the policy, the value function, both optimisers, the KL coefficient, and the newest policy that is known to
be within the KL bound. All of it is in a checkpoint, so that going on and resuming give the same bits.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models import checkpoint, ppo
from models.gpt import GPT
from models.heads import ScalarModel
from models.optim import make_optimizer
from models.optim_config import OptimConfig
from models.schedule import lr_at
from models.step import ExactStep, LocalExchange
from pipeline.evaluate.weights import load_gpt
from pipeline.pretrain.state import drop_old_checkpoints, moments, set_moments
from pipeline.rlhf.batch import Batch
from pipeline.rlhf.config import KlConfig
from pipeline.rlhf.rollout import as_weights, load_weights
from pipeline.rlhf.types import Experience, Setup, Weights
from pipeline.stage import StageFolder
from pipeline.tokens.order import permute

RATIO_TOLERANCE = 1e-3  # between a reply's log-probability when generated, with a cache, and when read at once


class BehindError(RuntimeError):
    """The learner is not at the iteration that it was asked to compute: it was restarted, and must be restored."""


@dataclass
class _Sums:
    """What the minibatches of an iteration said, added up."""

    tokens: float = 0.0
    policy: float = 0.0
    value: float = 0.0
    entropy: float = 0.0
    clipped: float = 0.0
    kl: float = 0.0
    ratio_error: float | None = None
    skipped: int = 0


class Learner:
    """Proximal policy optimisation, one iteration a call."""

    def __init__(self, setup: Setup) -> None:
        torch.set_num_threads(setup.config.threads)
        self.setup, self.config = setup, setup.config
        self._begin()

    def _begin(self) -> None:
        setup = self.setup
        self.policy = load_gpt(setup.inputs["finetune"])
        self.value = ScalarModel(self.policy.config).eval()
        self.value.body.load_state_dict(self.policy.state_dict())
        self.value.init_head(0.0)
        self.policy_step = self._stepper(self.policy, self.config.ppo.policy, self._policy_loss)
        self.value_step = self._stepper(self.value, self.config.ppo.value, self._value_loss)
        self.kept: Weights = as_weights(self.policy)  # the reference itself is within any bound
        self.iteration, self.coefficient = 0, self.config.kl.coefficient

    def _stepper(self, model: nn.Module, optim: OptimConfig, loss: Any) -> ExactStep[Tensor]:
        return ExactStep(model, make_optimizer(model, optim), loss, 1, optim.clip_norm, training=False)

    def weights(self, iteration: int) -> Weights:
        """The policy as it stands before an iteration. Raises BehindError."""
        self._check(iteration)
        return as_weights(self.policy)

    def update(
        self, iteration: int, experience: list[Experience], scores: list[float], keep: bool
    ) -> tuple[Weights, dict[str, Any]]:
        """Learn from the iteration's replies and their scores; return the next version and what was measured.

        `keep` says that the policy before this update was found within the KL bound, and replaces the kept one.
        Raises BehindError after a restart.
        """
        self._check(iteration)
        if keep:
            self.kept = as_weights(self.policy)
        control = kl_control(self.config.kl)
        kl = sum(sum(e.log_ratios()) for e in experience) / len(scores)
        braked = control.braking(kl)
        self._batch = Batch.of(experience, [0.0] * len(scores) if braked else scores)
        self._estimate()
        self._sums = _Sums()
        fraction = (iteration + 0.5) / self.config.iterations
        for epoch in range(self.config.ppo.epochs):
            for rows in self._minibatches(epoch):
                self._step(rows, fraction)
        facts = {"coefficient": self.coefficient, "braked": braked, **self._facts(fraction)}
        self.coefficient = control.next(self.coefficient, kl)
        self.iteration += 1
        return as_weights(self.policy), facts

    def _check(self, iteration: int) -> None:
        if iteration != self.iteration:
            raise BehindError(f"iteration {iteration} was asked for, the learner is at {self.iteration}")

    def _minibatches(self, epoch: int) -> list[Tensor]:
        count = len(self._batch.scores)
        draw = self.iteration * self.config.ppo.epochs + epoch
        order = torch.tensor([permute(self.setup.seed, draw, count, k) for k in range(count)])
        return list(torch.split(order, self.config.ppo.minibatch))

    @torch.no_grad()
    def _estimate(self) -> None:
        """Values, advantages and returns of the whole batch under the value function as it stands."""
        batch, cfg = self._batch, self.config.ppo
        rows = torch.split(torch.arange(len(batch.scores)), cfg.minibatch)
        batch.values = torch.cat([self.value(batch.tokens[r, :-1]) for r in rows]) * batch.mask
        rewards = ppo.token_rewards(batch.scores, batch.old_logp, batch.ref_logp, batch.mask, self.coefficient)
        batch.advantages, batch.returns = ppo.gae(rewards, batch.values, batch.mask, cfg.gamma, cfg.lam)
        batch.advantages = ppo.whiten(batch.advantages, batch.mask)

    def _step(self, rows: Tensor, fraction: float) -> None:
        for step, optim in ((self.policy_step, self.config.ppo.policy), (self.value_step, self.config.ppo.value)):
            total = step.gradient(lambda _: rows, LocalExchange())
            self._sums.skipped += not step.apply(total, lr_at(fraction, optim)).applied

    def _policy_loss(self, model: nn.Module, rows: Tensor) -> tuple[Tensor, Tensor]:
        assert isinstance(model, GPT)
        batch, mask = self._batch, self._batch.mask[rows]
        hidden_BTD = model.hidden(batch.tokens[rows, :-1])
        logits_NV = model.logits(hidden_BTD[mask]) / self.config.sampling.temperature
        chosen_N1 = batch.tokens[rows, 1:][mask][:, None]
        logp_N = torch.log_softmax(logits_NV, dim=-1).gather(1, chosen_N1)[:, 0]
        old_N, advantages_N = batch.old_logp[rows][mask], batch.advantages[rows][mask]
        found = ppo.policy_loss(
            logp_N, old_N, advantages_N, torch.ones_like(old_N, dtype=torch.bool), self.config.ppo.clip
        )
        sums = self._sums
        if sums.ratio_error is None:  # nothing was learnt yet: both are the same policy, by two ways of computing it
            sums.ratio_error = found.ratio_error
            assert found.ratio_error < RATIO_TOLERANCE, (
                f"generated and read log-probabilities differ: {found.ratio_error}"
            )
        sums.tokens += found.weight
        sums.policy += float(found.loss.detach())
        sums.clipped += found.clipped
        sums.kl += found.kl
        sums.entropy += float(ppo.entropy(logits_NV.detach()).sum())
        return found.loss, mask.sum().float()

    def _value_loss(self, model: nn.Module, rows: Tensor) -> tuple[Tensor, Tensor]:
        batch, mask = self._batch, self._batch.mask[rows]
        values = model(batch.tokens[rows, :-1])
        loss = ppo.value_loss(values, batch.values[rows], batch.returns[rows], mask, self.config.ppo.value_clip)
        self._sums.value += float(loss.detach())
        return loss, mask.sum().float()

    def _facts(self, fraction: float) -> dict[str, Any]:
        sums = self._sums
        facts: dict[str, Any] = {
            "policy_loss": sums.policy / sums.tokens,
            "value_loss": sums.value / sums.tokens,
            "entropy": sums.entropy / sums.tokens,
            "clip_fraction": sums.clipped / sums.tokens,
            "update_kl": sums.kl / sums.tokens,
            "ratio_error": sums.ratio_error,
            "lr": lr_at(fraction, self.config.ppo.policy),
        }
        return facts | ({"skipped_steps": sums.skipped} if sums.skipped else {})

    # State

    def _steppers(self) -> tuple[tuple[str, ExactStep[Tensor]], ...]:
        return ("policy_optim", self.policy_step), ("value_optim", self.value_step)

    def save(self, iteration: int, folder: StageFolder, progress: dict[str, Any]) -> None:
        """Write a checkpoint of this iteration, and take away all but the newest two. Raises BehindError."""
        self._check(iteration)
        top = f"checkpoints/{self.iteration:06d}"
        tensors = {f"policy.{n}": t for n, t in self.policy.state_dict().items()}
        tensors |= {f"value.{n}": t for n, t in self.value.state_dict().items()}
        tensors |= {f"kept.{n}": torch.from_numpy(a) for n, a in self.kept.items()}
        for prefix, step in self._steppers():
            tensors |= moments(step.model, step.optimizer, prefix)
        facts = {"iteration": self.iteration, "coefficient": self.coefficient}
        folder.write_json(f"{top}/progress.json", progress)
        checkpoint.save(lambda key, data: folder.write_bytes(key, data), top, tensors, facts)
        drop_old_checkpoints(folder)

    def restore(self, iteration: int, folder: StageFolder) -> None:
        """Go to a checkpoint. Iteration 0 is the beginning, which needs none. Raises CorruptChunk, CorruptPiece."""
        if iteration == 0:
            self._begin()
            return
        tensors, facts = checkpoint.load(folder.read_bytes, f"checkpoints/{iteration:06d}")

        def part(prefix: str) -> dict[str, Tensor]:
            return {n.removeprefix(f"{prefix}."): t for n, t in tensors.items() if n.startswith(f"{prefix}.")}

        self.policy.load_state_dict(part("policy"))
        self.value.load_state_dict(part("value"))
        self.kept = {n: t.numpy() for n, t in part("kept").items()}
        for prefix, step in self._steppers():
            set_moments(step.model, step.optimizer, prefix, tensors)
        self.iteration, self.coefficient = facts["iteration"], facts["coefficient"]

    def write_model(self, iteration: int, folder: StageFolder, current: bool) -> None:
        """The stage's result: this policy, or the newest one found within the KL bound. Raises BehindError."""
        self._check(iteration)
        if not current:
            load_weights(self.policy, self.kept)
        facts = {"kind": "gpt", "config": self.policy.config.model_dump()}
        checkpoint.save(lambda key, data: folder.write_bytes(key, data), "model", self.policy.state_dict(), facts)


def kl_control(config: KlConfig) -> ppo.KLControl:
    """The controller of a config."""
    return ppo.KLControl(
        target=config.target,
        bound=config.bound,
        brake=config.brake,
        rate=config.rate,
        least=config.least,
        most=config.most,
    )
