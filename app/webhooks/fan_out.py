"""Each event becomes one delivery for each webhook that subscribes to its type, as it gets its place in commit order.

It happens in the transaction that gives the places, so an event has its deliveries from the moment it can be seen, and
has them once.
"""

from __future__ import annotations

from app.core.database import Connection
from app.webhooks.parts import fan_out_in_order
from app.webhooks.waking import wake

# What a message has around its event's data, at most.
ENVELOPE_BYTES = 200

# Events between two places with the webhooks that are told; webhooks to which a run went as pages are told by these.
TOLD = """
    FROM events e JOIN webhooks w ON w.status = 'enabled' AND e.type = ANY(w.events)
    CROSS JOIN LATERAL (SELECT
        CASE WHEN e.type LIKE 'report.%' THEN (e.data ->> 'run_id')::uuid END AS run_id,
        coalesce(e.data ->> 'pages', '1') <> '1' AND e.data ? 'sync_id' AS is_page,
        (e.data ? 'people' OR e.data ? 'accounts') AND octet_length(e.data::text) + $3 > w.max_message_bytes AS is_large
    ) AS about
    WHERE e.position BETWEEN $1 AND $2 AND NOT (
        e.type = 'report.completed'
        AND EXISTS (SELECT FROM deliveries d WHERE d.run_id = about.run_id AND d.webhook_id = w.id)
    )
"""

_FAN_OUT = f"""
    INSERT INTO deliveries (webhook_id, message_id, event, event_id, run_id)
    SELECT w.id, e.id, e.type, e.id, about.run_id {TOLD} AND NOT about.is_page AND NOT about.is_large
    ORDER BY e.position
"""

_IN_ORDER = f"""
    SELECT w.id AS webhook_id, w.format, w.max_message_bytes, e.id, e.type, e.data ->> 'sync_id' AS sync_id,
        about.is_page, about.is_large
    {TOLD} AND (about.is_page OR about.is_large)
    ORDER BY w.id, e.position
"""


async def fan_out(connection: Connection, first: int, last: int) -> None:
    """Make the deliveries of the events from one place to another, both included, in the caller's transaction."""
    tag = await connection.execute(_FAN_OUT, first, last, ENVELOPE_BYTES)
    rows = await connection.fetch(_IN_ORDER, first, last, ENVELOPE_BYTES)
    if rows:
        await fan_out_in_order(connection, rows)
    if rows or tag != "INSERT 0 0":
        await wake(connection)
