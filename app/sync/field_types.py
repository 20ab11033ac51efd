"""The types of custom fields, and how a mapped value becomes one. Pure.

Answers: text as text; number as a number; boolean as a boolean; date as `2026-11-03`; datetime as RFC 3339 in UTC (a
time without a zone is taken for UTC); choice as the choice's own spelling, whatever the value's case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

from app.sync.transforms import TRANSFORMS, UnfitValueError, as_text

FieldType = Literal["text", "number", "boolean", "date", "datetime", "choice"]
Convert = Callable[[Any], Any]
"""Takes a value that is not empty. Raises UnfitValueError where the type cannot take it."""


def converter(kind: FieldType, choices: Sequence[str] = ()) -> Convert:
    """How values become the type."""
    if kind == "choice":
        return partial(_choice, {choice.casefold(): choice for choice in choices})
    return _CONVERT[kind]


def _choice(choices: Mapping[str, str], value: Any) -> str:
    found = choices.get(as_text(value).strip().casefold())
    if found is None:
        raise UnfitValueError("the value is none of its choices")
    return found


def _datetime(value: Any) -> str:
    try:
        at = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
        at = at and (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        at = None
    if at is None:
        raise UnfitValueError("the value is not a time")
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds").replace("+00:00", "Z")


_CONVERT: dict[str, Convert] = {
    "text": as_text,
    "number": TRANSFORMS["number"],
    "boolean": TRANSFORMS["boolean"],
    "date": TRANSFORMS["date"],
    "datetime": _datetime,
}
