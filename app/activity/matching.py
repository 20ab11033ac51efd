"""Conditions that several lists share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from app.activity.keyset import Values

# The greatest code point: every text that begins with a prefix lies between it and the prefix followed by this one.
_LAST = "\U0010ffff"


def begins(columns: Iterable[str], prefix: str, values: Values) -> str:
    """Whether any of the columns begins with the prefix, case-blind.

    A range instead of LIKE: an index on `lower(column) COLLATE "C"` serves it whatever the database's locale, also
    where the prefix is a parameter.
    """
    low = f'(lower({values.add(prefix)}::text) COLLATE "C")'
    high = f'(lower({values.add(prefix + _LAST)}::text) COLLATE "C")'
    ranges = (f'(lower({c}) COLLATE "C") >= {low} AND (lower({c}) COLLATE "C") < {high}' for c in columns)
    return "(" + " OR ".join(f"({each})" for each in ranges) + ")"


def equals(columns: Mapping[str, object], values: Values) -> list[str]:
    """One condition for each column whose wanted value is given."""
    return [f"{column} = {values.add(wanted)}" for column, wanted in columns.items() if wanted is not None]


def has_member(column: str, key: str, text: str, values: Values) -> str:
    """Whether a JSON object has the member with this text, or the boolean or number that is written so."""
    wanted: list[object] = [text]
    if text in ("true", "false"):
        wanted.append(text == "true")
    elif (number := _number(text)) is not None:
        wanted.append(number)
    tests = (f"{column} @> {values.add({key: each})}::jsonb" for each in wanted)
    return "(" + " OR ".join(tests) + ")"


def _number(text: str) -> int | float | None:
    try:
        number = msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
    return number if isinstance(number, int | float) and not isinstance(number, bool) else None
