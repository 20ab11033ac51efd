"""Durations as people type them: `5s`, `30m`, `2h`."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_of(text: str) -> float:
    """Seconds of a number and s, m, h or d. Raises ValueError, which says what to type."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError("type a number and s, m, h or d, such as 20s or 2h")
    return float(found[1]) * _UNITS[found[2]]
