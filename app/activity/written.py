"""Columns that come as text, written as an answer has them."""

from __future__ import annotations

from functools import lru_cache


# Most times of a page are those of one sync's transactions.
@lru_cache(maxsize=4096)
def rfc3339(moment: str | None) -> str | None:
    """A `timestamptz` as text (`2026-11-03 09:30:00.5+00`) as RFC 3339 with all digits of its fraction, if it has one.

    Of a connection of `Database.pool`, whose sessions are in UTC. Raises ValueError for a text from elsewhere.
    """
    if moment is None:
        return None
    day, time, zone = moment[:10], moment[11:-3], moment[-3:]
    if moment[10] != " " or zone != "+00":
        raise ValueError(f"{moment!r} is not in UTC, or not written as ISO 8601 has it")
    return f"{day}T{time.ljust(15, '0') if '.' in time else time}Z"
