"""tokenizer.json of the tokenizers library, of any kind. Knows no special token of ours."""

import tokenizers


def load(data: bytes) -> str:
    """The file's text, once the library has read it. Raises ValueError."""
    try:
        text = data.decode()
        tokenizers.Tokenizer.from_str(text)
    except Exception as error:  # the library raises plain Exception
        raise ValueError(f"not a tokenizer.json: {error}") from error
    return text
