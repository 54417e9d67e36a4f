"""What ``firstlight inspect RUN tokens`` shows: how well the tokeniser fits each source."""

from cluster.errors import UserError
from pipeline.sections import Block, Section
from pipeline.stage import StageFolder
from pipeline.tokens import look
from pipeline.tokens.pieces import load_tokenizer


def inspect(folder: StageFolder) -> Section:
    """Bytes a token, use of the vocabulary, longest tokens. Raises UserError before the stage has finished."""
    if not folder.done("index.json"):
        raise UserError("RUN", folder.run, "the tokens stage has not finished", "Run it first: firstlight run")
    index, tokenizer = folder.read_json("index.json"), load_tokenizer(folder)
    blocks: list[Block] = [
        look.vocabulary_table(folder, index, tokenizer.vocab_size),
        look.sizes_table(index),
        look.longest_table(tokenizer),
    ]
    return Section("tokens", "Tokeniser", f"A vocabulary of {tokenizer.vocab_size:,} ids.", blocks)
