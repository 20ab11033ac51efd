"""The audit's months: made ahead of time, and dropped whole once they have been kept long enough.

The table refuses every update and delete, so a month that leaves is the only way out of it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.core.database import Database

PREFIX = "audit_events_"
_AHEAD = "SELECT seatwise_audit_partitions(now() - interval '1 day', now() + interval '3 months')"
_MONTHS = """
    SELECT c.relname::text AS name, format('%I.%I', n.nspname, c.relname) AS quoted
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE i.inhparent = 'audit_events'::regclass ORDER BY 1
"""
# Whoever reads the audit is not held up for longer; the next turn tries again.
_PATIENCE = "SET LOCAL lock_timeout = '1s'"


async def make_months(database: Database) -> None:
    """Make the months to come, as far as they are missing. Any number of processes may ask."""
    await database.pool.execute(_AHEAD)


async def drop_months(database: Database, before: datetime) -> list[str]:
    """Drop each month that ended before a time; answers their tables' names."""
    over = [row for row in await database.pool.fetch(_MONTHS) if _end(row["name"]) <= before]
    for row in over:
        async with database.transaction() as connection:
            await connection.execute(_PATIENCE)
            await connection.execute(f"DROP TABLE IF EXISTS {row['quoted']}")
    return [row["name"] for row in over]


def _end(name: str) -> datetime:
    year, month = (int(part) for part in name.removeprefix(PREFIX).split("_"))
    return (datetime(year, month, 1, tzinfo=UTC) + timedelta(days=32)).replace(day=1)
