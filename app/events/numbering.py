"""Giving events their places in commit order, in one short step under a lock.

Neither ids nor sequences give that order: they are handed out while transactions are open, and a reader who has passed
a number would miss a smaller one that commits later. So events are numbered after their commit, by one process at a
time; a place once seen has none before it that is still to come.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from app.core import locks
from app.core.database import Connection, Database

# What is done with the events between two places, both included, as they get them.
Then = Callable[[Connection, int, int], Awaitable[None]]

BATCH = 5000
KEPT_DAYS = 30

# The statement begins after the lock is had, so it sees every place that was given under it before.
_NUMBER = """
    WITH waiting AS (
        SELECT id, row_number() OVER (ORDER BY id) AS turn FROM (
            SELECT id FROM events WHERE position IS NULL ORDER BY id LIMIT $1
        ) AS oldest
    ), numbered AS (
        UPDATE events e SET position = (SELECT coalesce(max(position), 0) FROM events) + w.turn
        FROM waiting w WHERE e.id = w.id RETURNING position
    )
    SELECT count(*) AS number, min(position) AS first, max(position) AS last FROM numbered
"""

# The latest place stays, for the next one is counted from it.
_FORGET = """
    DELETE FROM events WHERE at < now() - make_interval(days => $1)
        AND position < (SELECT max(position) FROM events)
"""


async def number_events(database: Database, then: Then | None = None) -> int:
    """Number the committed events that have no place yet; answers how many. Any number of processes may ask.

    then   is done for each batch, in the transaction in which its events get their places.
    """
    async with database.pool.acquire() as connection:
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM events WHERE position IS NULL)"):
            return 0
    numbered = 0
    while True:
        async with database.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", locks.PLACES_OF_EVENTS)
            (places,) = await connection.fetch(_NUMBER, BATCH)
            count: int = places["number"]
            if then is not None and count:
                await then(connection, places["first"], places["last"])
        numbered += count
        if count < BATCH:
            return numbered


async def forget_events(database: Database) -> None:
    """Remove events older than KEPT_DAYS."""
    async with database.pool.acquire() as connection:
        await connection.execute(_FORGET, KEPT_DAYS)
