"""How long deliveries are kept: as long as the events that they tell of."""

from __future__ import annotations

from app.core.database import Database
from app.events.numbering import KEPT_DAYS

BATCH = 10_000

_FORGET = """
    DELETE FROM deliveries WHERE id IN (
        SELECT id FROM deliveries WHERE created_at < now() - make_interval(days => $1) LIMIT $2
    )
"""


async def forget_deliveries(database: Database) -> None:
    """Remove deliveries older than the events that are kept, in batches."""
    while await database.pool.execute(_FORGET, KEPT_DAYS, BATCH) == f"DELETE {BATCH}":
        pass
