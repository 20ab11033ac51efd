"""Group access resolved to people, in the database: whose memberships in a scope's groups, ANY or ALL of them, add up
to a seat. Each group is read once, however many applications name it.
"""

from __future__ import annotations

from app.core.database import Connection
from app.sync.apply_seats import SeatCounts, apply_seats
from app.sync.scope import RunScope

GROUP_STREAM = "groups"

_STAGE = f"""
    WITH entitled AS (
        SELECT e.application_id, s.vendor_id
        FROM application_entries e
        JOIN LATERAL (SELECT DISTINCT unnest(e.groups) AS id) g ON true
        JOIN sync_reads r ON r.sync_id = $2 AND r.stream = '{GROUP_STREAM}' AND r.scope_id = g.id
        JOIN sync_seen s ON s.read_id = r.id
        WHERE e.instance_id = $1 AND e.vendor_id = $3
        GROUP BY e.application_id, s.vendor_id, e.groups, e.groups_match
        HAVING e.groups_match = 'any'
            OR count(*) = (SELECT count(DISTINCT id) FROM unnest(e.groups) AS id)
    ), noted AS (
        INSERT INTO sync_seen (read_id, vendor_id) SELECT $4, vendor_id FROM entitled ON CONFLICT DO NOTHING
        RETURNING 1
    ), staged AS (
        INSERT INTO stage_seats (application_id, vendor_id, seat)
        SELECT application_id, vendor_id, 'entitled' FROM entitled
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM noted) AS noted, (SELECT count(*) FROM staged) AS staged
"""


async def apply_group_access(
    connection: Connection, scope: RunScope, read_id: int, entry_id: str
) -> tuple[int, int, SeatCounts]:
    """Give the entry's seats to those whose groups entitle them, once all its groups are read.

    Answers how many were newly noted under the entry's read, how many seats it has, and what changed.
    """
    row = await connection.fetchrow(_STAGE, scope.instance_id, scope.sync_id, entry_id, read_id)
    noted, staged = (row["noted"], row["staged"]) if row else (0, 0)
    return noted, staged, await apply_seats(connection, scope)
