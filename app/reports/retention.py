"""Removing what is older than it is kept, and what deleted reports have left behind, in batches."""

from __future__ import annotations

from app.core.database import Database
from app.sync.runtime import Runtime

# Runs of one statement; each may hold a million rows in a thousand chunks.
_BATCH = 10

_FORGET = """
    DELETE FROM report_runs WHERE id IN (
        SELECT id FROM report_runs
        WHERE created_at < now() - make_interval(days => $1) AND status IN ('succeeded', 'failed')
        ORDER BY created_at LIMIT $2
    )
"""

# The runs that chunks are of, one index probe for each; of these, those that are no more.
_ORPHANS = """
    WITH RECURSIVE held AS (
        (SELECT run_id FROM report_chunks ORDER BY run_id LIMIT 1)
        UNION ALL
        SELECT (SELECT c.run_id FROM report_chunks c WHERE c.run_id > held.run_id ORDER BY c.run_id LIMIT 1)
        FROM held WHERE held.run_id IS NOT NULL
    )
    DELETE FROM report_chunks WHERE run_id IN (
        SELECT run_id FROM held h WHERE NOT EXISTS (SELECT FROM report_runs r WHERE r.id = h.run_id)
        AND h.run_id IS NOT NULL LIMIT $1
    )
"""


async def forget_runs(runtime: Runtime) -> None:
    """Remove runs older than SEATWISE_RETENTION_DAYS, then the rows of all runs that are gone."""
    await _until_none(runtime.database, _FORGET, runtime.settings.retention_days, _BATCH)
    await _until_none(runtime.database, _ORPHANS, _BATCH)


async def _until_none(database: Database, statement: str, *values: int) -> None:
    """Each batch is a transaction of its own."""
    while await database.pool.execute(statement, *values) != "DELETE 0":
        pass
