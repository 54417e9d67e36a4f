"""The model card: a run's facts as Markdown. Pure: the same facts give the same text, without date, host or path."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from models.config import GPTConfig
from pipeline import figures
from pipeline.evaluate.summary import TITLES
from pipeline.rows import STEPS
from pipeline.sections import Cell

Facts = dict[str, Any]

MADE = {
    "pretrain": "pretrained on next-token prediction; it continues text and follows no instructions",
    "finetune": "pretrained, then fine-tuned on conversations, with the loss on the assistant's tokens only",
    "rlhf": "pretrained, fine-tuned on conversations, then trained with PPO against a reward under a KL penalty",
}

LIMITS = """- It is as small as the table above says: fluent phrases at best, no knowledge to rely on.
- It may repeat what its sources hold, with their errors and opinions. Nobody has filtered its output.
- It reads at most {context} tokens; text beyond that is lost to it.
- The evaluation items were made from held-out documents of the same sources, so they say nothing about other text.
- The reward is a measure, and a model trained on a measure may meet it without being better in other ways."""


@dataclass(frozen=True)
class Card:
    """What the card tells. Each fact is what a stage wrote; empty where that stage is not part of the run."""

    title: str
    license: str
    stage: str
    shape: GPTConfig
    architecture: str  # the layout's family; "" for our own, for `reasons`
    reasons: Sequence[str]
    use: str  # how to load it
    funnel: Facts
    tokens: Facts = field(default_factory=dict)
    evaluations: Facts = field(default_factory=dict)
    rlhf: Facts = field(default_factory=dict)

    def text(self) -> str:
        """The whole card."""
        library = "firstlight" if self.reasons else "transformers"
        parts = [
            f"---\nlicense: {self.license}\nlibrary_name: {library}\npipeline_tag: text-generation\n---",
            f"# {self.title}",
            f"Weights of the stage `{self.stage}` of a Firstlight run: {MADE[self.stage]}.",
            *self._use(),
            *self._shape(),
            *self._data(),
            *self._evaluation(),
            *self._reward(),
            "## Licence",
            "The sources above keep their own licences, and the weights were made from all of them: see that these"
            f" allow what you want to do. The field `license` of this card says `{self.license}`, as the run's config"
            " states it.",
            "## Limits",
            LIMITS.format(context=self.shape.context),
        ]
        return "\n\n".join(parts) + "\n"

    def _use(self) -> list[str]:
        total, active = self.shape.parameters(), self.shape.active_parameters()
        size = f"{total:,} parameters" + (f", of which a token meets {active:,}" if active < total else "")
        if not self.reasons:
            return [f"{size}, architecture of {self.architecture}. It loads with transformers:", self.use]
        why = "; ".join(self.reasons)
        said = f"It does not load with transformers, which has no such model ({why}). It loads with Firstlight:"
        return [f"{size}, in Firstlight's own layout. {said}", self.use]

    def _shape(self) -> list[str]:
        names = ("vocab_size", "context", "layers", "width", "heads", "hidden", "tie_embeddings")
        rows: list[list[Cell]] = [[name, getattr(self.shape, name)] for name in names]
        rows += [[name, value] for name, value in chosen(self.shape) if name not in names]
        return ["## Shape", table(["", "value"], rows)]

    def _data(self) -> list[str]:
        rows: list[list[Cell]] = []
        for source, steps in sorted(self.funnel.items()):
            dropped = {step: sum(facts["dropped"].values()) for step, facts in steps.items()}
            heldout = dropped.pop("split", 0)
            last = steps[STEPS[-1]]
            documents = last["documents"] + heldout + sum(dropped.values())
            trained = self.tokens.get("train", {}).get(source, {}).get("tokens")
            rows.append([source, documents, sum(dropped.values()), heldout, last["documents"], last["bytes"], trained])
        columns = ["source", "documents", "dropped", "held out", "kept", "bytes kept", "tokens kept"]
        said = "Held-out documents and the evaluation items made from them are not in the training text."
        return ["## Training text", table(columns, rows), said]

    def _evaluation(self) -> list[str]:
        found = {stage: self.evaluations[stage] for stage in TITLES if stage in self.evaluations}
        if not found:
            return []
        rows: list[list[Cell]] = []
        for stage, result in found.items():
            total = result["text"]["total"]
            row: list[Cell] = [stage, round(total["bits_per_byte"], 3), round(total["ratio"], 3)]
            for kind, measure in (("choice", "sum"), ("cloze", "exact")):
                for shots in sorted(result["tasks"][kind], key=int):
                    row.append(percent(result["tasks"][kind][shots][measure]))
            rows.append(row)
        first = next(iter(found.values()))
        asked = [(kind, shots) for kind in ("choice", "cloze") for shots in sorted(first["tasks"][kind], key=int)]
        columns = ["after", "bits per byte", "x xz -9e", *(f"{kind}, {shots}-shot" for kind, shots in asked)]
        chances = ", ".join(f"{k} {100 * (first['tasks'][k][s]['chance'] or 0):.1f} %" for k, s in asked if s == "0")
        said = (
            f"On {first['text']['total']['bytes']:,} held-out bytes; `xz -9e` packs the same bytes. Items answered"
            f" right in %, with 95 % intervals; chance: {chances}."
        )
        return ["## Evaluation", table(columns, rows), said]

    def _reward(self) -> list[str]:
        if not self.rlhf:
            return []
        before, after, gain = self.rlhf["before"], self.rlhf["after"], self.rlhf["gain"]
        names = {
            "reward": f"reward that was trained on ({self.rlhf['headline']})",
            "rule": "share of the rule that is met",
            "model_score": "score of the reward model",
            "length": "tokens a reply",
            "ended": "share of replies that end",
            "kl": "KL from the fine-tuned model, nats a reply",
        }
        rows: list[list[Cell]] = [[said, round(before[k], 3), round(after[k], 3)] for k, said in names.items()]
        low, high = gain["interval"]
        said = (
            f"Means over {self.rlhf['prompts']} prompts that were never trained on. The gain in reward is"
            f" {gain['mean']:.3f}, {self.rlhf['confidence']:.0%} interval {low:.3f} to {high:.3f}; the bound on the KL"
            f" was {self.rlhf['kl_bound']:g} nats a reply."
        )
        return ["## Reward", table(["", "before RLHF", "after"], rows), said]


def chosen(shape: BaseModel, prefix: str = "") -> Iterator[tuple[str, Cell]]:
    """Each choice of a shape that is not the default, with its value."""
    for name, value in shape:
        if isinstance(value, BaseModel):
            yield from chosen(value, f"{name}.")
        elif value != type(shape).model_fields[name].default:
            yield prefix + name, value


def percent(rate: Facts) -> str:
    """A rate with its interval, in percent."""
    if rate["rate"] is None:
        return "–"
    return f"{100 * rate['rate']:.1f} ({100 * rate['low']:.1f} to {100 * rate['high']:.1f})"


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """A Markdown table."""
    lines = [list(columns), ["---"] * len(columns), *([figures.cell(c) for c in row] for row in rows)]
    return "\n".join(f"| {' | '.join(c.replace('|', chr(92) + '|') for c in line)} |" for line in lines)
