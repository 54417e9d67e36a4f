"""The exceptions that a person may meet, each with the exit code of the process.

FirstlightError              1  the run failed
├── UserError                2  the user's mistake: field, value, rule, remedy
│   ├── ConfigError             a recipe, a TOML file or a --set
│   ├── SourceError             a source of text that is missing or unreadable
│   └── RunDirError             a run directory that cannot be used so
├── CorruptPiece             1  a file whose checksum is not the recorded one
├── StageFailed              1  a stage ended with an exception
├── DiskFull                 1  no room for a piece (cluster/storage.py)
├── ChunkLost                1  a chunk that kills each actor that takes it (cluster/actors.py)
└── Interrupted            130  Ctrl-C
"""


class FirstlightError(Exception):
    """Base of the errors that the command line prints without a traceback."""

    exit_code = 1


class UserError(FirstlightError):
    """A mistake that the user can mend: which field, which value, which rule, what to do."""

    exit_code = 2

    def __init__(self, field: str, value: object, rule: str, remedy: str) -> None:
        self.field, self.value, self.rule, self.remedy = field, value, rule, remedy
        super().__init__(f"{field} = {value!r}: {rule}. {remedy}")

    def __reduce__(self) -> tuple[type, tuple[str, object, str, str]]:
        return type(self), (self.field, self.value, self.rule, self.remedy)


class ConfigError(UserError):
    """A recipe, a TOML file or a --set that cannot be used."""


class SourceError(UserError):
    """A source of text that is missing or cannot be read."""


class RunDirError(UserError):
    """A run directory that is held by another driver, or belongs to another recipe."""


class CorruptPiece(FirstlightError):
    """A piece whose bytes are not those that were committed."""

    def __init__(self, piece: str, expected: str, found: str, remedy: str) -> None:
        self.piece, self.expected, self.found, self.remedy = piece, expected, found, remedy
        super().__init__(f"{piece}: found {found[:16]}, but {expected[:13]} was committed. {remedy}")

    def __reduce__(self) -> tuple[type, tuple[str, str, str, str]]:
        return type(self), (self.piece, self.expected, self.found, self.remedy)


class StageFailed(FirstlightError):
    """A stage ended with an exception; what stands of it is kept."""

    def __init__(self, stage: str, why: str) -> None:
        self.stage, self.why = stage, why
        super().__init__(f"stage {stage} failed: {why}")

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.stage, self.why)


class Interrupted(FirstlightError):
    """Ctrl-C; what stands is kept, and the same command continues."""

    exit_code = 130
