"""Where a value of a vendor's user is found: an attribute, a metadata key, or a path into the raw record.

A source is written as the manifest's field name (`email`, `mfa_enabled`) or as `raw.<path>`, dots between names and
`[n]` for the items of a list (`raw.profiles[0].provider`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec

from app.connectors.contract import User

Read = Callable[[User, Any], Any]
"""Takes a user and its decoded raw record (None unless some source `needs_raw`), gives the value or None."""

_PATH = re.compile(r"raw(?:\.[^.\[\]\s](?:[^.\[\]]*[^.\[\]\s])?(?:\[[0-9]{1,6}\])*)+")
_STEPS = re.compile(r"\.([^.\[\]]+)|\[([0-9]+)\]")
_ATTRIBUTES = frozenset(User.__struct_fields__) - {"metadata", "raw"}
_RAW = msgspec.json.Decoder()


def needs_raw(source: str) -> bool:
    return source.startswith("raw.")


def is_path(source: str) -> bool:
    """Whether a text is a well-formed `raw.<path>`."""
    return _PATH.fullmatch(source) is not None


def decode_raw(user: User) -> Any:
    return _RAW.decode(user.raw) if user.raw else None


def reader(source: str) -> Read:
    """How to read one source that was checked before; what a record lacks is None."""
    if needs_raw(source):
        return _path_reader([name or int(index) for name, index in _STEPS.findall(source)])
    if source in _ATTRIBUTES:
        attribute = attrgetter(source)
        return lambda user, _raw: attribute(user)
    return lambda user, _raw: user.metadata.get(source)


def _path_reader(steps: list[str | int]) -> Read:
    def read(_user: User, raw: Any) -> Any:
        value = raw
        for step in steps:
            if isinstance(step, str):
                value = value.get(step) if isinstance(value, dict) else None
            else:
                value = value[step] if isinstance(value, list) and step < len(value) else None
        return value

    return read
