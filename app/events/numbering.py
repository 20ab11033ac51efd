"""Giving events their places in commit order, in one short step under a lock.

Neither ids nor sequences give that order: they are handed out while transactions are open, and a reader who has passed
a number would miss a smaller one that commits later. So events are numbered after their commit, by one process at a
time; a place once seen has none before it that is still to come.
"""

from __future__ import annotations

from app.core.database import Database

BATCH = 5000
KEPT_DAYS = 30
_LOCK = 7_316_524_904

# The statement begins after the lock is had, so it sees every place that was given under it before.
_NUMBER = """
    WITH waiting AS (
        SELECT id, row_number() OVER (ORDER BY id) AS turn FROM (
            SELECT id FROM events WHERE position IS NULL ORDER BY id LIMIT $1
        ) AS oldest
    ), numbered AS (
        UPDATE events e SET position = (SELECT coalesce(max(position), 0) FROM events) + w.turn
        FROM waiting w WHERE e.id = w.id RETURNING 1
    )
    SELECT count(*) FROM numbered
"""

# The latest place stays, for the next one is counted from it.
_FORGET = """
    DELETE FROM events WHERE at < now() - make_interval(days => $1)
        AND position < (SELECT max(position) FROM events)
"""


async def number_events(database: Database) -> int:
    """Number the committed events that have no place yet; answers how many. Any number of processes may ask."""
    async with database.pool.acquire() as connection:
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM events WHERE position IS NULL)"):
            return 0
    numbered = 0
    while True:
        async with database.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            count: int = await connection.fetchval(_NUMBER, BATCH)
        numbered += count
        if count < BATCH:
            return numbered


async def forget_events(database: Database) -> None:
    """Remove events older than KEPT_DAYS."""
    async with database.pool.acquire() as connection:
        await connection.execute(_FORGET, KEPT_DAYS)
