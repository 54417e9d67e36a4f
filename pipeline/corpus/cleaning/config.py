"""Settings of cleaning. Schemas only."""

from typing import Literal, get_args

from cluster.fields import Config, result

PrivateKind = Literal["email", "iban", "card", "ip", "phone"]
PRIVATE: tuple[PrivateKind, ...] = get_args(PrivateKind)


class PrivacyConfig(Config):
    """Private facts that a placeholder replaces, in the sources whose ``privacy`` is on."""

    kinds: tuple[PrivateKind, ...] = result(PRIVATE, "Kinds of facts that are masked; none where empty", unit="none")


class CleaningConfig(Config):
    """How text is cleaned; pipeline/corpus/cleaning says what each step does."""

    mojibake: bool = result(
        True, "Whether text that was decoded wrongly is repaired, where it is suspected", unit="none"
    )
    emoji: bool = result(True, "Whether emoji become their English names; never in code", unit="none")
    emoticons: bool = result(True, "Whether emoticons such as :-) become words; never in code", unit="none")
    math: Literal["keep", "drop"] = result(
        "keep", "In LaTeX: formulas kept as they are written, or taken out", unit="none"
    )
    privacy: PrivacyConfig = result(PrivacyConfig(), "Private facts", unit="none")
