"""A run's model under the lm-evaluation-harness (optional extra ``eval``), on a task file of one's own.

Scores through the same functions as our own items. The harness is imported only when it is asked for: it takes seconds.
Only local task files: its built-in index takes most of a minute, and its tasks name data sets on the network.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from cluster.errors import UserError
from models.generate import generate
from models.gpt import GPT
from models.tokenizer import Tokenizer
from pipeline.evaluate import score
from pipeline.evaluate.perplexity import window_nats, windows
from pipeline.evaluate.tasks import fit
from pipeline.evaluate.weights import check_match, load_gpt
from pipeline.stage import StageFolder
from pipeline.tokens.pieces import load_tokenizer


class Asked(Protocol):
    """What is read of a request of the harness."""

    @property
    def args(self) -> tuple[Any, ...]: ...


class Adapter:
    """The three methods of ``lm_eval.api.model.LM`` over our model. Answers come in the order of the requests.

    Each request runs alone, so no answer depends on a batch size. A context begins after an end token, as a document
    does, and loses its left side where it does not fit; a continuation is never cut.
    """

    def __init__(self, model: GPT, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.window = model.config.context

    def loglikelihood(self, requests: Sequence[Asked]) -> list[tuple[float, bool]]:
        """(log-probability in nats, whether greedy decoding gives it) of each (context, continuation)."""
        return [self._loglikelihood(*r.args) for r in requests]

    def _loglikelihood(self, context: str, continuation: str) -> tuple[float, bool]:
        wanted = self.tokenizer.encode(continuation)
        if not wanted:
            return 0.0, True  # an empty continuation is certain
        prompt = [self.tokenizer.end_id, *self.tokenizer.encode(context)]
        try:
            kept, _ = fit(prompt, [wanted], self.window)
        except ValueError as error:
            rule = f"{len(wanted)} tokens; {error}"
            raise UserError(
                "continuation", continuation[:80], rule, "Shorten it, or use `loglikelihood_rolling`"
            ) from error
        (scored,) = score.continuations(self.model, kept, [wanted])
        return scored.logprob, scored.greedy

    def loglikelihood_rolling(self, requests: Sequence[Asked]) -> list[float]:
        """The log-probability in nats of each whole string; every token is scored once, in windows of the context."""
        return [self._rolling(r.args[0]) for r in requests]

    def _rolling(self, text: str) -> float:
        tokens = [self.tokenizer.end_id, *self.tokenizer.encode(text)]
        parts = windows("", len(tokens), self.window, self.window)
        return -sum(window_nats(self.model, tokens, w) for w in parts)

    def generate_until(self, requests: Sequence[Asked]) -> list[str]:
        """Text after each context up to a stop string, which is cut off; greedy unless sampling is asked for."""
        return [self._generate(index, *r.args) for index, r in enumerate(requests)]

    def _generate(self, index: int, context: str, options: dict[str, Any]) -> str:
        # At most half of the window is written, so that a prompt always keeps the other half.
        new = min(int(options.get("max_gen_toks", self.window // 2)), self.window // 2)
        prompt = [self.tokenizer.end_id, *self.tokenizer.encode(context)][-(self.window - new) :]
        (sample,) = generate(
            self.model,
            [prompt],
            max_new=new,
            temperature=float(options.get("temperature", 1.0)) if options.get("do_sample") else 0.0,
            stop_id=self.tokenizer.end_id,
            pad_id=self.tokenizer.pad_id,
            keys=[(index,)],
        )
        until = options.get("until") or []
        return cut_at(self.tokenizer.decode(sample.tokens), [until] if isinstance(until, str) else until)


def cut_at(text: str, stops: Sequence[str]) -> str:
    """The text before the first stop string in it."""
    ends = [text.index(s) for s in stops if s and s in text]
    return text[: min(ends)] if ends else text


def adapter(model: GPT, tokenizer: Tokenizer) -> Any:
    """An instance of the harness's own class `LM`. Raises UserError where the extra is not installed."""
    try:
        from lm_eval.api.model import LM
    except ImportError as error:
        remedy = 'Install it into the environment: pip install -e ".[eval]"'
        raise UserError("extra", "eval", "lm-evaluation-harness is not installed", remedy) from error
    return type("FirstlightLM", (Adapter, LM), {})(model, tokenizer)


def score_task(model: GPT, tokenizer: Tokenizer, task: Path, limit: int | None = None) -> dict[str, Any]:
    """The harness's results of one task file: ``{"results", "samples", ...}``.

    Relative data files in it are read from the working directory. Raises UserError for a file that is missing or no
    task.
    """
    lm = adapter(model, tokenizer)
    import yaml
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    if not task.is_file():
        raise UserError("task", str(task), "there is no such file", "Give the path of a task's YAML file")
    loaded = yaml.safe_load(task.read_text())
    name = loaded.get("task") if isinstance(loaded, dict) else None
    if not isinstance(name, str):
        raise UserError("task", str(task), "a task file names its task", "Add a line `task: NAME`")
    # bootstrap_iters=0: no resampling, so no random numbers in a result
    found = simple_evaluate(
        model=lm,
        tasks=[name],
        task_manager=TaskManager(include_path=str(task.parent), include_defaults=False),
        limit=limit,
        bootstrap_iters=0,
        log_samples=True,
    )
    assert found is not None
    return dict(found)


def harness(run: str, stage: str, task_path: str, limit: int | None = None) -> dict[str, Any]:
    """Score a local task file with the model of one stage of a run."""
    tokenizer = load_tokenizer(StageFolder.open(run, "tokens"))
    model = load_gpt(StageFolder.open(run, stage))
    check_match(model, tokenizer, stage)
    return score_task(model, tokenizer, Path(task_path), limit)
