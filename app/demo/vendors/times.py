"""Times as the simulated vendors keep them: epoch milliseconds, written in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

MINUTE_MS = 60_000
DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1).toordinal()


def to_ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def to_time(ms: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms)


def day_ms(day: date) -> int:
    """The first moment of a UTC date."""
    return (day.toordinal() - _EPOCH) * DAY_MS


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return date.fromordinal(day + _EPOCH).isoformat()


def iso(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds, as the vendors write it."""
    day, rest = divmod(ms, DAY_MS)
    seconds, millis = divmod(rest, 1000)
    minutes, second = divmod(seconds, 60)
    return f"{_date(day)}T{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}.{millis:03d}Z"
