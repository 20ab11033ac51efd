"""Time as the service sees it: aware, UTC, from one place.

`now` is this host's clock. What replicas must agree on (what is due, what is over) is judged by the database's.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession


def now() -> datetime:
    return datetime.now(UTC)


async def database_now(session: AsyncSession) -> datetime:
    """The database's time at which the session's transaction began."""
    return (await session.execute(select(func.now()))).scalar_one()


@dataclass(frozen=True, slots=True)
class DatabaseClock:
    """The database's time, read once and carried on without asking again, whatever becomes of the host's clock.

    read_at   the database's time.
    read_s    seconds of the monotonic clock at that moment.
    """

    read_at: datetime
    read_s: float = field(default_factory=time.monotonic)

    def now(self) -> datetime:
        return self.read_at + timedelta(seconds=time.monotonic() - self.read_s)


def today() -> date:
    """The current UTC date; every day in the books is a UTC day."""
    return now().date()


def midnight(day: date) -> datetime:
    """The first moment of a UTC date."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def days_between(first: date, last: date) -> list[date]:
    """Every date from first to last, both included; empty when last is before first."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
