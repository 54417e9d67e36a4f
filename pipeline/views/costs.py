"""What each stage costs by arithmetic: tokens, FLOPs, steps, memory, seconds. Reads the config only; no torch.

FLOPs come from `GPTConfig.flops_per_token`, the count of the model that trains, steps from the schedule that it trains
by. Seconds are FLOPs over a rate plus fixed costs; the constants below were measured and say where.
"""

from dataclasses import dataclass

from models.layout_config import Layout, Seat
from models.parts import part
from models.schedule import whole_plan
from pipeline.config import RunConfig
from tune.halving import rung_sizes

# Ray on one machine, 2 cores (Ray 2.60, embedded cluster, a private temporary folder)
RAY_START_S = 6.0  # ray.init with its imports, before the first stage that has work to do
REPLICAS_START_S = 17.0  # a Ray Train run per replica, all at once: start 14, stop 3
ACTORS_START_S = 4.0  # actors that import torch, or replicas that are actors
TRIAL_S = 4.0  # an actor of Ray Tune, besides the trial's own work
DATA_START_S = 4.0  # first execution of a Ray Data plan
STEP_S = 0.03  # quorum, exchange and commit vote of one step

# Shares of the probe's rate that the loops keep; a narrow model leaves much to softmax, norms and memory
TRAIN, FORWARD, GENERATE = 0.35, 0.45, 0.12

# Text, on one core
CLEAN_BYTES_A_S, ENCODE_BYTES_A_S, XZ_BYTES_A_S = 1.15e6, 3.3e6, 1e6
TOKENIZER_S, PARQUET_S, EXPORT_S = 6.0, 1.0, 0.2
BYTES_A_TOKEN = 3.1  # a byte-level vocabulary of some thousand on English prose and code
TOKENS_A_WORD = 1.6
PACKAGED_BYTES = {"plays": 5.3e6, "chats": 12.3e6, "code": 13.2e6, "docs": 0.7e6, "questions": 1.1e6}

MIB = 1 << 20
RAY_BYTES = 700 * MIB  # processes of an embedded cluster and Ray Data's two upkeep actors, PSS
DRIVER_BYTES = 510 * MIB  # the driver, with torch and Ray Data loaded
PROCESS_BYTES = 200 * MIB  # a Python process that has imported torch, PSS
# A replica's process beside its tensors, alone or one of a layout's: 510 MiB resident with torch, torchft and Ray Train
# loaded, the rest the allocator's slack: none at 30 thousand parameters, 170 MiB at 6 million in two workers
REPLICA_BYTES = 700 * MIB
CONTROL_BYTES = 640 * MIB  # a Ray Train run's launcher, controller and four upkeep actors
DATA_BYTES = 1230 * MIB  # Ray Data's workers on 2 CPUs, beyond the cluster's own processes


@dataclass(frozen=True)
class Cost:
    """One stage's cost: FLOPs, trained or scored tokens, optimiser steps, seconds."""

    flops: float
    tokens: int
    steps: int
    seconds: float


def stage_costs(config: RunConfig, rate: float) -> dict[str, Cost]:
    """Costs by stage in the journey's order; `rate` is the FLOP/s of one process of `pretrain.threads` threads."""
    evaluation = _evaluate(config, rate)
    return {
        "corpus": Cost(0.0, 0, 0, DATA_START_S + text_bytes(config) / CLEAN_BYTES_A_S / 2),
        "tokens": Cost(0.0, 0, 0, TOKENIZER_S + PARQUET_S + text_bytes(config) / ENCODE_BYTES_A_S),
        "search": _search(config, rate),
        "pretrain": _pretrain(config, rate),
        "evaluate@pretrain": evaluation,
        "finetune": _finetune(config, rate),
        "evaluate@finetune": evaluation,
        "reward": _reward(config, rate),
        "rlhf": _rlhf(config, rate),
        "evaluate@rlhf": evaluation,
        "export": Cost(0.0, 0, 0, EXPORT_S),
    }


def text_bytes(config: RunConfig) -> float:
    """Bytes of the sources that come with packages; the size of a source by path is not known before it is read."""
    return sum(PACKAGED_BYTES.get(source.kind, 0.0) for source in config.corpus.sources if not source.path)


def trials_by_rung(config: RunConfig) -> list[int]:
    """How many trials each rung of the search runs."""
    search = config.search
    return rung_sizes(len(search.peak_lrs) * len(search.batches), len(search.rungs), search.reduction)


def replica_memory(config: RunConfig) -> dict[str, float]:
    """Bytes of one pretraining replica by what they hold, float32; the largest batch counts."""
    model, pretrain = config.model, config.pretrain
    sequences = config.shard_windows
    if pretrain.micro_batch:
        sequences = min(sequences, 1 if pretrain.micro_batch == "auto" else int(pretrain.micro_batch))
    positions = sequences * model.context
    weights = 4.0 * model.parameters()
    held = {
        "weights": weights,
        "gradients": weights,
        "optimizer": float(model.state_bytes() - 8 * model.parameters()),
        "gradient sums": weights * (pretrain.partial_sums + 1),
        "activations": 4.0 * positions * _kept(config) * model.layers * recomputed(config),
        "logits": 3 * 4.0 * positions * model.vocab_size,
        "process": float(REPLICA_BYTES * pretrain.layout.workers + CONTROL_BYTES),
    }
    return held | copies(config, held["weights"] + held["optimizer"])


def worker_memory(config: RunConfig, layout: Layout, seat: Seat) -> dict[str, float]:
    """Bytes of one worker of a replica by what they hold while it trains; the largest batch counts."""
    rows = config.shard_windows
    held: dict[str, float] = part("parallel", "costs").memory(config.model, layout, seat, rows, config.optim.kind)
    held["activations"] *= recomputed(config)
    held |= {"gradient sums": held["weights"] * (config.pretrain.partial_sums + 1), "process": float(REPLICA_BYTES)}
    return held | copies(config, held["weights"] + held["moments"])


def copies(config: RunConfig, state: float) -> dict[str, float]:
    """Bytes of states beside the one that trains: what a rollback returns to, and what a checkpoint is written from,
    which has a rollback's states too."""
    kept = config.pretrain.guard.states
    return {"checkpoint copy": state * (1 + kept)} | ({"guard's states": state * kept} if kept else {})


def recomputed(config: RunConfig) -> float:
    """Share of the activations that stand at once: all, or each block's input and one block's own."""
    if not config.pretrain.recompute:
        return 1.0
    return min(1.0, config.model.width / _kept(config) + 1 / config.model.layers)


def _kept(config: RunConfig) -> float:
    """Numbers a place that one block keeps for the backward pass: two norms, q, k, v, their rotations, the mixed values
    and the two residual sums at the width; gate, up, their product and the activation at the hidden width."""
    model = config.model
    return 11 * model.width + 4 * model.hidden * (model.experts.top_k if model.experts.count else 1)


def peak_memory(config: RunConfig) -> dict[str, float]:
    """Peak bytes of all processes in the stages that take most; the largest of them is the run's."""
    ray = float(RAY_BYTES + DRIVER_BYTES)
    rlhf, model = config.rlhf, config.model
    weights = 4.0 * model.parameters()
    learner = PROCESS_BYTES + 2.0 * model.state_bytes() + weights
    return {
        "corpus": ray + DATA_BYTES,
        "pretrain": ray + config.pretrain.replicas * sum(replica_memory(config).values()),
        "rlhf": ray + learner + (rlhf.rollout_actors + 2) * (PROCESS_BYTES + weights),
    }


def _work(flops: float, rate: float, processes: int, share: float) -> float:
    """Seconds of FLOPs that are shared out among processes."""
    return flops / (rate * processes * share)


def _search(config: RunConfig, rate: float) -> Cost:
    search, model = config.search, config.model
    if not search.enabled:
        return Cost(0.0, 0, 0, 0.0)
    counts = trials_by_rung(config)
    tokens = sum(count * budget for count, budget in zip(counts, search.rungs, strict=True))
    scored = sum(counts) * search.windows * model.context
    train, score = tokens * model.flops_per_token(), scored * model.flops_per_token() / 3
    working = min(search.concurrent, counts[0])
    seconds = _work(train, rate, working, TRAIN) + _work(score, rate, working, FORWARD)
    return Cost(train + score, tokens, 0, DATA_START_S + seconds + sum(counts) * TRIAL_S / working)


def _pretrain(config: RunConfig, rate: float) -> Cost:
    pretrain, model = config.pretrain, config.model
    plan = whole_plan(pretrain.tokens, model.context, pretrain.batch)
    tokens = plan.total_sequences * model.context
    scored = pretrain.curve_points * pretrain.curve_windows * model.context
    flops = (tokens + scored / 3) * model.flops_per_token()
    seconds = REPLICAS_START_S + plan.steps * STEP_S + _work(flops, rate, pretrain.replicas, TRAIN)
    return Cost(flops, tokens, plan.steps, seconds)


def _finetune(config: RunConfig, rate: float) -> Cost:
    tune, model = config.finetune, config.model
    plan = whole_plan(tune.tokens, model.context, ((0.0, tune.batch),))
    tokens = plan.total_sequences * model.context
    train = tokens * model.flops_per_token()
    held = (tune.curve_points + 1) * tune.heldout_tokens * model.flops_per_token() / 3
    replies = 2 * tune.samples * (tune.sample_tokens + model.context / 2) * model.flops_per_token() / 3
    seconds = (
        _work(train, rate, tune.replicas, TRAIN) + _work(held, rate, 1, FORWARD) + _work(replies, rate, 1, GENERATE)
    )
    return Cost(train + held + replies, tokens, plan.steps, ACTORS_START_S + plan.steps * STEP_S + seconds)


def _reward(config: RunConfig, rate: float) -> Cost:
    reward, model = config.reward, config.model
    steps = -(-reward.pairs // reward.batch)
    tokens = steps * reward.batch * 2 * reward.max_tokens
    a_token = model.flops_per_token(reward.max_tokens)
    train, test = tokens * a_token, reward.test_chats * reward.max_tokens * a_token / 3
    seconds = _work(train, rate, reward.replicas, TRAIN) + _work(test, rate, 1, FORWARD)
    return Cost(train + test, tokens, steps, ACTORS_START_S + steps * STEP_S + seconds)


def _rlhf(config: RunConfig, rate: float) -> Cost:
    rlhf, sampling = config.rlhf, config.rlhf.sampling
    length = sampling.prompt_tokens + sampling.reply_tokens
    a_token = config.model.flops_per_token(length)
    replies = sampling.chunk * sampling.chunks
    evaluated = (rlhf.iterations // rlhf.evaluate_every + 1) * sampling.heldout_prompts
    made = (rlhf.iterations * replies + evaluated) * length
    generate, score = made * a_token / 3, 3 * made * a_token / 3  # scored by reference, reward model and value function
    tokens = rlhf.iterations * rlhf.ppo.epochs * replies * length
    train = 2 * tokens * a_token  # policy and value function
    steps = rlhf.iterations * rlhf.ppo.epochs * -(-replies // rlhf.ppo.minibatch)
    seconds = _work(generate, rate, rlhf.rollout_actors, GENERATE) + _work(score, rate, rlhf.rollout_actors, FORWARD)
    seconds += _work(train, rate, rlhf.threads // config.pretrain.threads or 1, FORWARD)
    return Cost(generate + score + train, tokens, steps, 2 * ACTORS_START_S + steps * STEP_S + seconds)


def _evaluate(config: RunConfig, rate: float) -> Cost:
    ev, model, items = config.evaluate, config.model, config.corpus.items
    held = [PACKAGED_BYTES.get(s.kind, 0.0) * config.corpus.heldout for s in config.corpus.sources if not s.path]
    scored_bytes = sum(min(float(ev.heldout_bytes), size) for size in held)
    window_tokens = scored_bytes / BYTES_A_TOKEN / ev.stride
    context = (items.min_words + items.max_words) / 2 * TOKENS_A_WORD
    answer = items.answer_words * TOKENS_A_WORD
    prompts = [min(float(model.context), context * (1 + shots)) for shots in (0, ev.shots)]
    item_tokens = ev.items * sum(2 * prompt + 4 * answer for prompt in prompts)  # a choice item and a cloze item
    tokens = window_tokens + item_tokens
    flops = tokens * model.flops_per_token() / 3
    seconds = ACTORS_START_S + scored_bytes / XZ_BYTES_A_S + _work(flops, rate, ev.workers, FORWARD)
    return Cost(flops, int(tokens), 0, seconds)
