"""The tokens stage's files as a section of the report."""

from pipeline.sections import Block, Section
from pipeline.stage import StageFolder
from pipeline.tokens import look
from pipeline.tokens.pieces import load_tokenizer


def section(folder: StageFolder, inputs: dict[str, StageFolder]) -> Section | None:
    """The tokeniser, sizes, mixture, lengths and examples; None before the mixture stands."""
    if not (folder.done("index.json") and folder.done("mixture.json")):
        return None
    index, mixture = folder.read_json("index.json"), folder.read_json("mixture.json")
    found, tokenizer = look.lengths(folder, index), load_tokenizer(folder)
    tokens = sum(facts["tokens"] for facts in index["train"].values())
    size = sum(facts["bytes"] for facts in index["train"].values())
    lead = (
        f"{tokens:,} training tokens from {size / 1e6:.1f} MB: {size / max(1, tokens):.2f} bytes a token with a "
        f"vocabulary of {tokenizer.vocab_size:,} ({tokenizer.kind})."
    )
    blocks: list[Block] = [
        look.tokenizer_table(tokenizer, index),
        look.sizes_table(index),
        look.mixture_table(mixture),
        look.mixture_chart(mixture),
        look.lengths_table(found),
        look.lengths_chart(found),
        look.windows(folder, tokenizer),
    ]
    headline = [("training tokens", f"{tokens:,}"), ("bytes a token", f"{size / max(1, tokens):.2f}")]
    return Section("tokens", "Tokens", lead, blocks, headline)
