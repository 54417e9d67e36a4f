"""Config fields: each says what it is, its unit, and whether it may change what a stage makes.

A *result* field may change what is made (a threshold, a seed, logical shards). An *execution* field may not (workers,
retries, timeouts): it is left out of every fingerprint, so changing it reruns nothing.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

RESULT, EXECUTION = "result", "execution"


class Config(BaseModel):
    """Base of every config: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def result(default: Any, description: str, *, unit: str, **bounds: Any) -> Any:
    """A field that may change what a stage makes. ``default=...`` makes it required."""
    return Field(default, description=description, json_schema_extra={"mark": RESULT, "unit": unit}, **bounds)


def execution(default: Any, description: str, *, unit: str, **bounds: Any) -> Any:
    """A field that changes how a stage runs, never what it makes."""
    return Field(default, description=description, json_schema_extra={"mark": EXECUTION, "unit": unit}, **bounds)


def mark_of(config: type[BaseModel], field: str) -> str | None:
    """The mark of one field, or None where the field has none of its own."""
    extra = config.model_fields[field].json_schema_extra
    mark = extra.get("mark") if isinstance(extra, dict) else None
    return mark if isinstance(mark, str) else None


def result_view(value: object) -> Any:
    """The config as plain data without its execution fields: what a fingerprint covers."""
    if isinstance(value, BaseModel):
        kind = type(value)
        return {n: result_view(getattr(value, n)) for n in kind.model_fields if mark_of(kind, n) != EXECUTION}
    if isinstance(value, tuple | list):
        return [result_view(v) for v in value]
    if isinstance(value, dict):
        return {str(k): result_view(v) for k, v in sorted(value.items())}
    return value
