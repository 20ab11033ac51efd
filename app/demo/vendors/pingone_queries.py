"""PingOne's SCIM-like filters: each endpoint takes a few attributes with a few operators, and refuses the rest."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from app.demo.vendors.roster import Record
from app.demo.vendors.times import to_ms

_GROUP = re.compile(r'\s*memberOfGroups\s*\[\s*id\s+eq\s+"([^"]+)"\s*\]\s*', re.IGNORECASE)
_TERM = re.compile(r'\s*\(?\s*([\w.]+)\s+(eq|gt|lt|sw)\s+(?:"([^"]*)"|(true|false))\s*\)?\s*', re.IGNORECASE)
_USER_FIELDS = ("username", "email", "enabled", "externalId", "locale", "population.id")
_ACTIVITY_FIELDS: dict[str, tuple[str, ...]] = {
    "action.type": ("action", "type"),
    "actors.user.id": ("actors", "user", "id"),
    "actors.client.id": ("actors", "client", "id"),
}


class Unreadable(Exception):
    """The filter uses something that the endpoint does not know; the message says what."""


class ActivityQuery(NamedTuple):
    """since, until: epoch milliseconds, `until` not included."""

    since: int
    until: int
    fits: Callable[[Record], bool]


def user_filter(text: str | None) -> tuple[str | None, Callable[[Record], bool] | None]:
    """The group that users must be members of, and the test on their records; None for each that is not asked."""
    if not text:
        return None, None
    if group := _GROUP.fullmatch(text):
        return group[1], None
    terms = [_term(part) for part in re.split(r"\s+and\s+", text, flags=re.IGNORECASE)]
    for field, op, _ in terms:
        if field not in _USER_FIELDS or op not in {"eq", "sw"}:
            raise Unreadable(f"Users cannot be filtered by {field} {op}.")
    return None, lambda record: all(_holds(record, tuple(field.split(".")), op, value) for field, op, value in terms)


def activity_filter(text: str) -> ActivityQuery:
    """A range of `recordedAt` (or `createdAt`) with both ends, made of gt and lt, and at most one more attribute."""
    bounds: dict[str, int] = {}
    others: list[tuple[tuple[str, ...], str, str]] = []
    for part in re.split(r"\s+and\s+", text, flags=re.IGNORECASE) if text else ():
        field, op, value = _term(part)
        if field.lower() in {"recordedat", "createdat"} and op in {"gt", "lt"}:
            bounds[op] = _time(value)
        elif field in _ACTIVITY_FIELDS and op == "eq":
            others.append((_ACTIVITY_FIELDS[field], op, value))
        else:
            raise Unreadable(f"Activities cannot be filtered by {field} {op}.")
    if set(bounds) != {"gt", "lt"}:
        raise Unreadable("A date range on recordedAt or createdAt is required, with gt and lt.")
    if len(others) > 1:
        raise Unreadable("Only one filter may be added to the date range.")
    return ActivityQuery(bounds["gt"] + 1, bounds["lt"], lambda record: all(_holds(record, *other) for other in others))


def _term(text: str) -> tuple[str, str, str]:
    match = _TERM.fullmatch(text)
    if match is None:
        raise Unreadable(f"The filter cannot be read at: {text}")
    return match[1], match[2].lower(), match[3] if match[3] is not None else match[4].lower()


def _holds(record: Record, path: tuple[str, ...], op: str, want: str) -> bool:
    value: Any = record
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    have = str(value).lower() if isinstance(value, bool) else value
    return isinstance(have, str) and (have.startswith(want) if op == "sw" else have == want)


def _time(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Unreadable(f"Not a date: {text}") from None
    return to_ms(at if at.tzinfo else at.replace(tzinfo=UTC))
