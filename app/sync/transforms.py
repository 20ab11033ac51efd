"""What a mapping row may do to a value on its way. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

Transform = Callable[[Any], Any]

_WORDS = {
    "true": True,
    "yes": True,
    "enabled": True,
    "1": True,
    "false": False,
    "no": False,
    "disabled": False,
    "0": False,
}


class UnfitValueError(ValueError):
    """A value that the field cannot take; the message says what the value is not, and never repeats it."""


def is_empty(value: object) -> bool:
    if isinstance(value, str):
        return not value or value.isspace()
    return value is None or value in ([], {})


def as_text(value: object) -> str:
    """A JSON scalar as text; the items of a list joined. Raises UnfitValueError for an object."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        return ", ".join(as_text(item) for item in value if not is_empty(item))
    raise UnfitValueError("the value is an object, not a text")


def as_json(value: object) -> Any:
    """A JSON scalar or a list of them, as it is. Raises UnfitValueError for an object."""
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict | list) for item in value)):
        raise UnfitValueError("the value is an object, not a text, number or boolean")
    return value


def _local_part(value: object) -> str:
    text = as_text(value).strip()
    return text.rpartition("@")[0] or text


def _date(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UnfitValueError("the value is not a date") from None
    # The date is the one written, whatever the zone: a birthday must not move.
    return date(moment.year, moment.month, moment.day).isoformat()


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = _WORDS.get(as_text(value).strip().lower())
    if word is None:
        raise UnfitValueError("the value is neither true nor false")
    return word


def _number(value: object) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = value.strip() if isinstance(value, str) else ""
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        # JSON has no word for what is no finite number.
        if number - number == 0:
            return number
    raise UnfitValueError("the value is not a number")


TRANSFORMS: dict[str, Transform] = {
    "trim": lambda value: as_text(value).strip(),
    "lower": lambda value: as_text(value).lower(),
    "upper": lambda value: as_text(value).upper(),
    "local_part": _local_part,
    "date": _date,
    "boolean": _boolean,
    "number": _number,
}
