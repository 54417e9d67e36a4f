"""Settings of a source of text: where it is, how it is read, and what its records are called. Schemas only."""

import re
from typing import Any, Literal, Self, get_args

from pydantic import field_validator, model_validator

from cluster.errors import ConfigError
from cluster.fields import Config, execution, result

PackagedKind = Literal["plays", "chats", "code", "docs", "questions"]
FieldKind = Literal["jsonl", "parquet", "csv"]
Kind = Literal[PackagedKind, FieldKind, "text", "markdown", "html", "warc"]
Markup = Literal["auto", "none", "entities", "markdown", "html", "latex"]

PACKAGED: tuple[PackagedKind, ...] = get_args(PackagedKind)
"""Kinds whose files come with a package, so that they need no path."""
WITH_FIELDS: tuple[FieldKind, ...] = get_args(FieldKind)
"""Kinds whose records have named fields."""
PAGES: tuple[Kind, ...] = ("html", "warc")
"""Kinds whose reader turns HTML into text."""
TAKEN = ("turns", "signals")
"""Facts beside a text that are made here, so that no field can be mapped to them."""

_NAME = r"^[a-z0-9_-]{1,40}$"
_FACT = r"^[a-z][a-z0-9_]{0,39}$"


class Source(Config):
    """One source of text. Kinds with a package need no path: their files come with it."""

    name: str = result(..., "Name of the source; part of its documents' ids", unit="none", pattern=_NAME)
    kind: Kind = result(..., "How its files are read", unit="none")
    path: str = execution(
        "",
        "A file, a folder or a glob, local or s3:// or gs://; empty for the kind's package. What it holds counts, not"
        " its name",
        unit="none",
    )
    endpoint: str = execution(
        "", "Address of an S3 store that is not Amazon's; else that of the environment, AWS_ENDPOINT_URL", unit="none"
    )
    fields: dict[str, str] = result(
        {"text": "text"},
        "Our name -> field of a record, dots for nested ones. text is needed; the others become facts of the document",
        unit="none",
    )
    delimiter: str = result(",", "What stands between the fields of a csv file", unit="none", pattern=r'^[^"\r\n]$')
    markup: Markup = result("auto", "Markup to turn into text; auto decides by kind", unit="none")
    rules: tuple[str, ...] = result(
        ("basic",), "Families of rules and signals that judge its documents, in order", unit="none"
    )
    privacy: Literal["auto", "on", "off"] = result(
        "auto", "Whether private facts are masked; auto is off for code and on for all else", unit="none"
    )
    priority: int = result(0, "Of two documents that repeat each other, that of the higher priority stays", unit="none")
    max_bad: float = execution(
        0.05,
        "Share of its records that may be unreadable; the run fails past it, from 11 such records on. Pages without"
        " content or with monstrous markup, and records that are too long, do not count",
        unit="fraction",
        ge=0,
        le=1,
    )

    @model_validator(mode="before")
    @classmethod
    def _no_old_names(cls, values: Any) -> Any:
        if isinstance(values, dict) and "text_field" in values:
            field, value = f"corpus.sources.{values.get('name', '')}.text_field", values["text_field"]
            raise ConfigError(field, value, "fields took its place", f'Write fields = {{ text = "{value}" }}')
        return values

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if not self.path and self.kind not in PACKAGED:
            rule = f"a source of kind {self.kind} needs a path"
            raise ConfigError(f"corpus.sources.{self.name}.path", self.path, rule, "Give a file, a folder or a glob")
        if self.fields != {"text": "text"} and self.kind not in WITH_FIELDS:
            rule = f"a record of kind {self.kind} has no fields"
            raise ConfigError(f"corpus.sources.{self.name}.fields", self.fields, rule, "Leave it out")
        if self.markup == "html" and self.kind not in PAGES:
            rule = f"HTML is undone by the readers of {' and '.join(PAGES)}, and by none of kind {self.kind}"
            remedy = "Take another kind, or entities, which undoes what stands in text alone"
            raise ConfigError(f"corpus.sources.{self.name}.markup", self.markup, rule, remedy)
        return self

    @field_validator("fields")
    @classmethod
    def _named(cls, fields: dict[str, str]) -> dict[str, str]:
        if "text" not in fields:
            raise ConfigError("corpus.sources.fields", fields, "no field is the text", 'Add text = "name of the field"')
        for ours, theirs in fields.items():
            if not re.match(_FACT, ours) or ours in TAKEN or not theirs:
                rule = f"a name is small letters, digits and _, and none of {', '.join(TAKEN)}; its field is not empty"
                raise ConfigError("corpus.sources.fields", f"{ours} = {theirs}", rule, "Give it another name")
        return fields

    @field_validator("rules")
    @classmethod
    def _modules(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        for name in rules:
            if not name.isidentifier() or name.startswith("_") or rules.count(name) > 1:
                rule = "each is the name of a family, once"
                raise ConfigError("corpus.sources.rules", name, rule, "See pipeline/corpus/rules and signals")
        return rules
