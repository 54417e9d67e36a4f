"""Settings of the tokens stage. Schemas only: no pyarrow, no ray."""

from typing import Self

from pydantic import model_validator

from cluster.errors import ConfigError
from cluster.fields import Config, execution, result


class TokensConfig(Config):
    """The tokeniser, the encoded pieces and the mixture of the sources."""

    vocab_size: int = result(
        4096, "Vocabulary of the tokeniser, special tokens included", unit="tokens", ge=264, le=65_536
    )
    sample_bytes: int = result(
        24_000_000, "Training text that the tokeniser sees, chosen by document hash", unit="bytes", ge=1_000, le=2**40
    )
    weights: dict[str, float] = result({}, "Weight of a source in the mixture, 1 where none is given", unit="none")
    temperature: float = result(
        1.25,
        "Share of a source ~ weight x tokens ** (1 / temperature): 1 is as it comes, more is evener",
        unit="none",
        gt=0,
    )
    max_epochs: float = result(4.0, "Most passes over one source; the others take what is beyond", unit="epochs", gt=0)
    task_cpus: float = execution(1.0, "CPUs that one encoding task asks for", unit="CPUs", gt=0, le=64)

    @model_validator(mode="after")
    def _weights(self) -> Self:
        for source, weight in self.weights.items():
            if not 0 <= weight < float("inf"):
                raise ConfigError(
                    f"tokens.weights.{source}", weight, "a weight is a number of at least 0", "Give 0 or more"
                )
        return self
