"""Time as the service sees it: aware, UTC, from one place."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta


def now() -> datetime:
    return datetime.now(UTC)


def today() -> date:
    """The current UTC date; every day in the books is a UTC day."""
    return now().date()


def midnight(day: date) -> datetime:
    """The first moment of a UTC date."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def days_between(first: date, last: date) -> list[date]:
    """Every date from first to last, both included; empty when last is before first."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
